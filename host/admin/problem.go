package admin

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/ergoproxy/ergo/host/manifest"
)

// Problem is an answer of status 400 and up (RFC 9457). It is an error, so that
// a client returns it as it came.
type Problem struct {
	Title    string  `json:"title"`
	Status   int     `json:"status"`
	Detail   string  `json:"detail,omitempty"`
	Problems []Place `json:"problems,omitempty"` // all that is wrong in a manifest
}

// Place is one thing that is wrong in a manifest.
type Place struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Path   string `json:"path,omitempty"`
	Wrong  string `json:"wrong"`
	Right  string `json:"right,omitempty"`
}

// Error lists all that is wrong, one thing on a line.
func (p *Problem) Error() string {
	if len(p.Problems) == 0 {
		return p.Detail
	}
	return p.Unwrap().Error()
}

// Unwrap returns the manifest's problems, nil if it has none.
func (p *Problem) Unwrap() error {
	problems := make(manifest.Problems, len(p.Problems))
	for i, at := range p.Problems {
		problems[i] = manifest.Problem(at)
	}
	return problems.Err()
}

// fail answers with a problem.
func fail(w http.ResponseWriter, status int, detail string) {
	write(w, &Problem{Title: http.StatusText(status), Status: status, Detail: detail})
}

// refuse answers that the host would not do what was asked, and why.
func refuse(w http.ResponseWriter, status int, err error) {
	p := &Problem{Title: http.StatusText(status), Status: status, Detail: err.Error()}
	var problems manifest.Problems
	if errors.As(err, &problems) {
		p.Detail = "the manifest has problems"
		for _, problem := range problems {
			p.Problems = append(p.Problems, Place(problem))
		}
	}
	write(w, p)
}

func write(w http.ResponseWriter, p *Problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client went away
}
