package hosttest

import (
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/coder/websocket"
)

// Events is a backend of server-sent events: each value that comes from source
// is sent as one event, at once; closing source ends the response.
func Events(source <-chan string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		flusher := http.NewResponseController(w)
		flusher.Flush()
		for {
			select {
			case data, ok := <-source:
				if !ok {
					return
				}
				fmt.Fprintf(w, "data: %s\n\n", data)
				flusher.Flush()
			case <-r.Context().Done():
				return
			}
		}
	})
}

// Big answers with as many bytes as the query parameter "bytes" says, in chunks
// unless "length" is set too, and first reads the request's body to its end.
func Big(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	count, err := strconv.ParseInt(r.URL.Query().Get("bytes"), 10, 64)
	if err != nil {
		http.Error(w, "bytes is no number", http.StatusBadRequest)
		return
	}
	if r.URL.Query().Has("length") {
		w.Header().Set("Content-Length", strconv.FormatInt(count, 10))
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	io.CopyN(w, Zeros{}, count)
}

// Zeros is an endless body.
type Zeros struct{}

// Read fills p with zero bytes.
func (Zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// WebSocket echoes the messages of a WebSocket connection until the client
// closes it.
func WebSocket(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return // it has answered
	}
	defer c.CloseNow()
	for {
		kind, message, err := c.Read(r.Context())
		if err != nil {
			return
		}
		if err := c.Write(r.Context(), kind, message); err != nil {
			return
		}
	}
}
