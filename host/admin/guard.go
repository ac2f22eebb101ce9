package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"mime"
	"net/http"
	"strings"
)

// guard lets through whom the address and the token allow; see the package's
// comment. next is called with a request that may do what it asks.
func (s *Server) guard(public bool, next http.Handler) http.Handler {
	token := s.opts.Token.Reveal()
	want := sha256.Sum256([]byte(token))
	local := strings.HasPrefix(s.opts.Address, unixPrefix)
	origin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(apiHeader, apiVersion)
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		switch {
		case public:
		case token != "" && !bearer(r, want):
			w.Header().Set("WWW-Authenticate", `Bearer realm="ergo admin"`)
			fail(w, http.StatusUnauthorized, "the request needs the admin token as Authorization: Bearer")
			return
		case token == "" && !local && !isLoopback(r.Host):
			fail(w, http.StatusMisdirectedRequest, "without a token only a loopback host may be named")
			return
		}
		if r.Method == http.MethodPost {
			if err := origin.Check(r); err != nil {
				fail(w, http.StatusForbidden, "the request comes from a web page of another origin")
				return
			}
			if kind := mediaType(r); kind != typeJSON && kind != typeTOML {
				fail(w, http.StatusUnsupportedMediaType, "send Content-Type: "+typeJSON+" or "+typeTOML)
				return
			}
			r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
		}
		next.ServeHTTP(w, r)
	})
}

// apiHeader is in every answer, so that a client knows a host from anything else
// that listens where it looks for one.
const (
	apiHeader  = "Ergo-Api"
	apiVersion = "1"
)

// What a body may be. A web page cannot send either to another origin without
// asking first (CORS preflight), which is never allowed.
const (
	typeJSON = "application/json"
	typeTOML = "application/toml"
)

func mediaType(r *http.Request) string {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return kind
}

// bearer reports whether the request shows the token, in a time that says
// nothing about it.
func bearer(r *http.Request, want [sha256.Size]byte) bool {
	scheme, shown, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	got := sha256.Sum256([]byte(shown))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1 && strings.EqualFold(scheme, "Bearer")
}
