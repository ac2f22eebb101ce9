package exchange

import (
	"io"
	"strconv"
	"strings"
	"time"
)

// errorResponse renders a failure without a word about internals.
func errorResponse(req *Request, f *Failure) Response {
	if contentType, _ := req.Header.Get("content-type"); strings.HasPrefix(contentType, "application/grpc") {
		return grpcError(contentType, f.Status)
	}
	text := strconv.Itoa(f.Status) + " " + StatusText(f.Status) + "\n"
	resp := Response{
		Status: f.Status,
		Length: int64(len(text)),
		Body:   io.NopCloser(strings.NewReader(text)),
	}
	resp.Header.Add("content-type", "text/plain; charset=utf-8")
	resp.Header.Add("cache-control", "no-store")
	if f.RetryAfter > 0 {
		seconds := (f.RetryAfter + time.Second - 1) / time.Second
		resp.Header.Add("retry-after", strconv.Itoa(int(seconds)))
	}
	if req.Method == "HEAD" {
		resp.Body = nil
	}
	return resp
}

// grpcError is a "Trailers-Only" answer (gRPC over HTTP/2, Responses).
func grpcError(contentType string, status int) Response {
	resp := Response{Status: 200}
	resp.Header.Add("content-type", contentType)
	resp.Header.Add("grpc-status", strconv.Itoa(GRPCStatus(status)))
	resp.Header.Add("grpc-message", StatusText(status))
	return resp
}

// GRPCStatus returns the status of gRPC for one of HTTP, as gRPC's "HTTP to gRPC Status Code Mapping" has it, with the
// statuses that only a proxy makes added.
func GRPCStatus(status int) int {
	switch status {
	case 400:
		return 13 // INTERNAL
	case 401:
		return 16 // UNAUTHENTICATED
	case 403:
		return 7 // PERMISSION_DENIED
	case 404:
		return 12 // UNIMPLEMENTED
	case 413:
		return 8 // RESOURCE_EXHAUSTED
	case 504:
		return 4 // DEADLINE_EXCEEDED
	case 429, 502, 503:
		return 14 // UNAVAILABLE
	}
	return 2 // UNKNOWN
}

// StatusText returns the standard words for the statuses that the host itself
// answers with (RFC 9110, 15), "Error" for others.
func StatusText(status int) string {
	switch status {
	case 400:
		return "Bad Request"
	case 401:
		return "Unauthorized"
	case 403:
		return "Forbidden"
	case 404:
		return "Not Found"
	case 405:
		return "Method Not Allowed"
	case 408:
		return "Request Timeout"
	case 413:
		return "Content Too Large"
	case 414:
		return "URI Too Long"
	case 417:
		return "Expectation Failed"
	case 421:
		return "Misdirected Request"
	case 429:
		return "Too Many Requests"
	case 431:
		return "Request Header Fields Too Large"
	case 500:
		return "Internal Server Error"
	case 501:
		return "Not Implemented"
	case 502:
		return "Bad Gateway"
	case 503:
		return "Service Unavailable"
	case 504:
		return "Gateway Timeout"
	case 505:
		return "HTTP Version Not Supported"
	}
	return "Error"
}
