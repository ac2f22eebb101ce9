// Service stands for the services behind the gateway: it says which one it is, what it
// was asked, and for whom.
//
//	service NAME ADDRESS
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: service NAME ADDRESS")
	}
	name := os.Args[1]
	log.Fatal(http.ListenAndServe(os.Args[2], http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "a service of 2003")
		fmt.Fprintf(w, "%s: %s %s for %s, token: %t\n", name, r.Method, r.URL.Path, r.Header.Get("X-User"), r.Header.Get("Authorization") != "")
	})))
}
