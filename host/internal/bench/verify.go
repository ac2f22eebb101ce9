package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// wrongKey is the key that denials are measured with.
const wrongKey = "wrong"

// verify checks that the server at address does its job: lets the right key through with the whole body, marks
// both sides, and denies every other key. It returns the first thing that is wrong.
func verify(ctx context.Context, address string, j job, scenarios []scenario) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: 64 << 10}}
	base := "http://" + address
	for _, s := range scenarios {
		if err := verifyAnswer(ctx, client, base, j, s); err != nil {
			return err
		}
	}
	if err := verifyMarks(ctx, client, base, j); err != nil {
		return err
	}
	if !j.Keyed {
		return nil
	}
	for _, key := range []string{wrongKey, ""} {
		a, err := fetch(ctx, client, base+scenarios[0].path, key)
		if err != nil {
			return err
		}
		if a.status != http.StatusUnauthorized {
			return fmt.Errorf("GET %s with key %q: status %d, want 401", scenarios[0].path, key, a.status)
		}
	}
	return nil
}

// verifyAnswer checks the answer to a scenario's request: of a cache the second, which it may have stored.
func verifyAnswer(ctx context.Context, client *http.Client, base string, j job, s scenario) error {
	path, times := j.path(s.path), 1
	if j.Cache != noCache {
		times = 2
	}
	for seen := range times {
		a, err := fetch(ctx, client, base+path, apiKey)
		if err != nil {
			return err
		}
		if err := a.checkPassed(j, path); err != nil {
			return err
		}
		if !bytes.Equal(a.body, s.body()) {
			return fmt.Errorf("GET %s: %d bytes arrived that are not the origin's %d", path, len(a.body), s.bytes)
		}
		said := a.header.Get("Cache-Status")
		if hit, want := strings.Contains(said, "; hit"), j.Cache == hits && seen == 1; hit != want {
			return fmt.Errorf("GET %s for the %d. time: Cache-Status is %q; from the cache: %v, want %v", path, seen+1, said, hit, want)
		}
	}
	return nil
}

// verifyMarks checks what the origin saw of the request.
func verifyMarks(ctx context.Context, client *http.Client, base string, j job) error {
	a, err := fetch(ctx, client, base+probePath, apiKey)
	if err != nil {
		return err
	}
	if err := a.checkPassed(j, probePath); err != nil {
		return err
	}
	seen := strings.Fields(string(a.body))
	for i := range maxMarks {
		want := markName(i) + "="
		if i < j.Marks {
			want += "1"
		}
		if !slices.Contains(seen, want) {
			return fmt.Errorf("the origin saw %q, want %s among it", seen, want)
		}
	}
	return nil
}

// answer is a whole response.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// checkPassed says what is wrong with the answer to a request that should have reached the origin.
func (a answer) checkPassed(j job, path string) error {
	if a.status != http.StatusOK {
		return fmt.Errorf("GET %s with the right key: status %d, want 200", path, a.status)
	}
	for i := range j.Marks {
		if got := a.header.Values(markName(i)); !slices.Equal(got, []string{"1"}) {
			return fmt.Errorf("GET %s: response header %s is %q, want it once, 1", path, markName(i), got)
		}
	}
	return nil
}

// fetch gets url; an empty key is not sent at all.
func fetch(ctx context.Context, client *http.Client, url, key string) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return answer{}, err
	}
	if key != "" {
		request.Header.Set("x-api-key", key)
	}
	response, err := client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBodyBytes+1))
	if err != nil {
		return answer{}, fmt.Errorf("GET %s: %w", request.URL.Path, err)
	}
	return answer{status: response.StatusCode, header: response.Header, body: body}, nil
}
