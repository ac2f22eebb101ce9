package property

import (
	"strconv"
	"strings"

	"github.com/ergoproxy/ergo/host/exchange"
)

// request are the attributes of the request as policies have made it so far.
var request = map[string]getter{
	"path":          func(s *Source) (Value, bool) { return textOf(s.Exchange.Request.Target), true },
	"url_path":      requestURLPath,
	"query":         requestQuery,
	"host":          func(s *Source) (Value, bool) { return textOf(s.Exchange.Request.Authority), true },
	"scheme":        func(s *Source) (Value, bool) { return textOf(s.Exchange.Request.Scheme), true },
	"method":        func(s *Source) (Value, bool) { return textOf(s.Exchange.Request.Method), true },
	"headers":       func(s *Source) (Value, bool) { return mapOf(requestFields(s)), true },
	"headers_bytes": func(s *Source) (Value, bool) { return intOf(requestFields(s).size()), true },
	"referer":       func(s *Source) (Value, bool) { return requestField(s, exchange.Referer) },
	"useragent":     func(s *Source) (Value, bool) { return requestField(s, exchange.UserAgent) },
	"protocol":      requestProtocol,
	"id":            requestID,
	"time":          func(s *Source) (Value, bool) { return timeOf(s.Exchange.Begun()), s.Exchange.Began != 0 },
	"duration":      requestDuration,
	"size":          requestSize,
	"total_size":    requestTotalSize,
}

// response are the attributes of the response, once there is one.
var response = map[string]getter{
	"code":          responded(func(s *Source) (Value, bool) { return intOf(int64(s.Exchange.Response.Status)), true }),
	"code_details":  responded(codeDetails),
	"flags":         responded(responseFlags),
	"grpc_status":   responded(grpcStatus),
	"headers":       responded(func(s *Source) (Value, bool) { return mapOf(responseFields(s)), true }),
	"headers_bytes": responded(func(s *Source) (Value, bool) { return intOf(responseFields(s).size()), true }),
	"trailers":      responded(func(s *Source) (Value, bool) { return mapOf(responseTrailers(s)), true }),
	"size":          responded(func(s *Source) (Value, bool) { return intOf(s.Exchange.ResponseBytes), s.Over }),
	"total_size":    responded(responseTotalSize),
}

// responded finds nothing while there is no response.
func responded(get getter) getter {
	return func(s *Source) (Value, bool) {
		if s.Exchange.Response.Status == 0 {
			return Value{}, false
		}
		return get(s)
	}
}

func requestFields(s *Source) Fields {
	r := &s.Exchange.Request
	return Fields{header: &r.Header, request: r}
}

func requestField(s *Source, id exchange.Known) (Value, bool) {
	value, ok := s.Exchange.Request.Header.GetKnown(id)
	return textOf(value), ok
}

func requestURLPath(s *Source) (Value, bool) {
	path, _, _ := strings.Cut(s.Exchange.Request.Target, "?")
	return textOf(path), true
}

func requestQuery(s *Source) (Value, bool) {
	_, query, _ := strings.Cut(s.Exchange.Request.Target, "?")
	query, _, _ = strings.Cut(query, "#")
	return textOf(query), true
}

// requestProtocol is the version as Envoy writes it.
func requestProtocol(s *Source) (Value, bool) {
	switch v := s.Exchange.Request.Version; v {
	case exchange.HTTP10, exchange.HTTP11:
		return textOf(v.String()), true
	case exchange.HTTP2:
		return textOf("HTTP/2"), true
	case exchange.HTTP3:
		return textOf("HTTP/3"), true
	}
	return Value{}, false
}

func requestID(s *Source) (Value, bool) {
	if v, ok := requestField(s, exchange.XRequestID); ok {
		return v, true
	}
	return textOf(s.Exchange.ID), s.Exchange.ID != ""
}

func requestDuration(s *Source) (Value, bool) {
	return durationOf(s.Exchange.Now - s.Exchange.Began), s.Over
}

// requestSize is what the request says of its body, else how much has come of it.
func requestSize(s *Source) (Value, bool) {
	r := &s.Exchange.Request
	if said, ok := r.Header.GetKnown(exchange.ContentLength); ok {
		n, err := strconv.ParseUint(said, 10, 63)
		return intOf(int64(n)), err == nil
	}
	if s.Over {
		return intOf(s.Exchange.RequestBytes), true
	}
	return intOf(r.Length), r.Length != exchange.UnknownLength
}

func requestTotalSize(s *Source) (Value, bool) {
	return intOf(s.Exchange.RequestBytes + requestFields(s).size()), s.Over
}

func responseFields(s *Source) Fields {
	r := &s.Exchange.Response
	return Fields{header: &r.Header, status: r.Status}
}

func responseTrailers(s *Source) Fields { return Fields{header: &s.Exchange.Response.Trailer} }

func responseTotalSize(s *Source) (Value, bool) {
	return intOf(s.Exchange.ResponseBytes + responseFields(s).size() + responseTrailers(s).size()), s.Over
}

func codeDetails(s *Source) (Value, bool) {
	x := s.Exchange
	switch {
	case x.Failure != nil:
		return textOf(string(x.Failure.Cause)), true
	case x.AnsweredBy == "" && x.Response.Version != 0:
		return textOf("via_upstream"), true
	}
	return Value{}, false
}

// flags are Envoy's bits for what failed.
var flags = map[exchange.Cause]int64{
	exchange.CauseNoEndpoint:  0x2,      // NoHealthyUpstream
	exchange.CauseTierDown:    0x2,      // the same
	exchange.CauseTimeout:     0x4,      // UpstreamRequestTimeout
	exchange.CauseRefused:     0x20,     // UpstreamConnectionFailure
	exchange.CauseReset:       0x40,     // UpstreamConnectionTermination
	exchange.CauseCircuitOpen: 0x80,     // UpstreamOverflow
	exchange.CauseOverload:    0x80,     // the same
	exchange.CauseNoRoute:     0x100,    // NoRouteFound
	exchange.CauseClient:      0x4000,   // DownstreamConnectionTermination
	exchange.CauseProtocol:    0x800000, // UpstreamProtocolError
}

func responseFlags(s *Source) (Value, bool) {
	if f := s.Exchange.Failure; f != nil {
		return intOf(flags[f.Cause]), true
	}
	return intOf(0), true
}

func grpcStatus(s *Source) (Value, bool) {
	r := &s.Exchange.Response
	for _, h := range []*exchange.Header{&r.Trailer, &r.Header} {
		if said := h.Value("grpc-status"); said != "" { // announced trailers are empty
			n, err := strconv.ParseUint(said, 10, 32)
			return intOf(int64(n)), err == nil
		}
	}
	return Value{}, false
}
