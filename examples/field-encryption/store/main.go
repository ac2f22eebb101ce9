// Store is a service that knows nothing of encryption: it keeps what is put, as it
// comes, and gives it back.
//
//	store ADDRESS
package main

import (
	"io"
	"log"
	"net/http"
	"os"
	"sync"
)

// maxDocument bounds what is put.
const maxDocument = 1 << 20

// store is documents by their paths.
type store struct{ documents sync.Map }

// ServeHTTP follows http.Handler.
func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodPut:
		document, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxDocument))
		if err != nil {
			http.Error(w, "the document did not arrive", http.StatusBadRequest)
			return
		}
		s.documents.Store(r.URL.Path, document)
		w.WriteHeader(http.StatusNoContent)
	case http.MethodGet:
		document, found := s.documents.Load(r.URL.Path)
		if !found {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, "{\"title\":\"there is no such document\"}\n")
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(document.([]byte))
	default:
		http.Error(w, "PUT or GET", http.StatusMethodNotAllowed)
	}
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: store ADDRESS")
	}
	log.Fatal(http.ListenAndServe(os.Args[1], new(store)))
}
