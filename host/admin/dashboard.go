package admin

import (
	"embed"
	"io/fs"
	"net/http"
)

// ui is the dashboard: plain files, which ask the API like any client.
//
//go:embed ui
var ui embed.FS

// contentPolicy lets the page load and ask for what comes from this host only.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// dashboard serves the page and its parts. It holds no secrets: what it shows it
// asks the API for, with the token if there is one.
func dashboard() http.HandlerFunc {
	files, err := fs.Sub(ui, "ui")
	if err != nil {
		panic("admin: the dashboard is not in the binary: " + err.Error())
	}
	server := http.FileServerFS(files)
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", contentPolicy)
		w.Header().Set("Referrer-Policy", "no-referrer")
		server.ServeHTTP(w, r)
	}
}
