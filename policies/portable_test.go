package policies

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/http-wasm/http-wasm-host-go/handler"
	wasm "github.com/http-wasm/http-wasm-host-go/handler/nethttp"
)

// TestPoliciesRunInTheReferenceHost shows that a policy of ours that needs no
// capability is an ordinary http-wasm guest.
func TestPoliciesRunInTheReferenceHost(t *testing.T) {
	seen := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("x-seen", r.URL.RequestURI()+" "+r.Header.Get("x-consumer")+r.Header.Get("x-api-key"))
	})
	server := httptest.NewServer(inReferenceHost(t, "api-key",
		`{"header":"x-api-key","keys":[{"key":"secret","consumer":"alice"}]}`,
		inReferenceHost(t, "headers", `{"request":{"set":{"x-api-key":"by ${method}"}}}`, seen)))
	defer server.Close()

	cases := []struct {
		key, want string
		status    int
	}{
		{"secret", "/a?b aliceby GET", 200},
		{"wrong", "", 401},
	}
	for _, c := range cases {
		request, err := http.NewRequest("GET", server.URL+"/a?b", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-Api-Key", c.key)
		response, err := server.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if got := response.Header.Get("x-seen"); response.StatusCode != c.status || got != c.want {
			t.Errorf("%s: got %d %q, want %d %q", c.key, response.StatusCode, got, c.status, c.want)
		}
	}
}

func inReferenceHost(t *testing.T, name, config string, next http.Handler) http.Handler {
	t.Helper()
	module, err := os.ReadFile(name + "/policy.wasm")
	if err != nil {
		t.Fatal(err)
	}
	middleware, err := wasm.NewMiddleware(context.Background(), module, handler.GuestConfig([]byte(config)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := middleware.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return middleware.NewHandler(context.Background(), next)
}
