package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync"
	"time"

	"github.com/ergoproxy/ergo/sdk/plugin"
)

// appRole is how to log in; without it the secret "token" is the token.
type appRole struct {
	Mount string `json:"mount"`
	Role  string `json:"role_id"`
}

// session has a token, and renews it while the process runs.
type session struct {
	server
	role *appRole
	host *plugin.Host // the process's own account

	mu       sync.Mutex // one at a time asks the host
	secret   string     // the token that the manifest grants, or the secret id of the role
	token    string     // "" before it is logged in
	lifetime time.Duration
}

// Pauses between renewals: half of the token's life, within these bounds, and after a failure
// the first, doubled.
const (
	minPause = time.Second
	maxPause = time.Hour
)

// open reads the secret that the manifest grants.
func (s *session) open(ctx context.Context, h *plugin.Host) error {
	name := "token"
	if s.role != nil {
		name = "secret_id"
	}
	secret, err := h.Secret(ctx, name)
	if err != nil {
		return fmt.Errorf("secret %q, by which it logs in: %w", name, err)
	}
	s.host, s.secret = h, string(secret)
	if s.role == nil {
		s.token = s.secret
	}
	return nil
}

// login is the part of answers that has a token.
type login struct {
	Auth struct {
		Token    string `json:"client_token"`
		Lifetime int64  `json:"lease_duration"`
		Renews   bool   `json:"renewable"`
	} `json:"auth"`
}

// current returns the token, and logs in for it if there is none.
func (s *session) current(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token == "" {
		if err := s.login(ctx); err != nil {
			return "", err
		}
	}
	return s.token, nil
}

// refused says that the server did not take a token. A role logs in for another one.
func (s *session) refused(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.role != nil && s.token == token {
		s.token = ""
	}
}

func (s *session) login(ctx context.Context) error {
	var answer login
	body := map[string]string{"role_id": s.role.Role, "secret_id": s.secret}
	if err := s.ask(ctx, s.host, "", "POST", "auth/"+escape(s.role.Mount)+"/login", body, &answer); err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	if answer.Auth.Token == "" {
		return errors.New("log in: the answer has no token")
	}
	s.token, s.lifetime = answer.Auth.Token, time.Duration(answer.Auth.Lifetime)*time.Second
	return nil
}

// keep renews the token until ctx ends, or there is nothing to renew.
func (s *session) keep(ctx context.Context) {
	failed := minPause
	for {
		lifetime, err := s.renew(ctx)
		pause := min(max(lifetime/2, minPause), maxPause)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			log.Print("renew the token: ", err)
			pause, failed = failed, min(2*failed, time.Minute)
		case lifetime == 0:
			return
		default:
			failed = minPause
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// renew makes the token live longer, and returns how long it does; 0: without end. A token that
// cannot be renewed is one to log in for again, if there is a role.
func (s *session) renew(ctx context.Context) (time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token == "" {
		err := s.login(ctx)
		return s.lifetime, err
	}
	if s.role == nil && s.lifetime == 0 {
		return s.lookUp(ctx)
	}
	var answer login
	err := s.ask(ctx, s.host, s.token, "POST", "auth/token/renew-self", struct{}{}, &answer)
	if s.role != nil && (statusOf(err) != 0 || err == nil && !answer.Auth.Renews) {
		err = s.login(ctx)
		return s.lifetime, err
	}
	if err != nil {
		return 0, err
	}
	s.lifetime = time.Duration(answer.Auth.Lifetime) * time.Second
	return s.lifetime, nil
}

// lookUp finds out how long a token that was granted lives.
func (s *session) lookUp(ctx context.Context) (time.Duration, error) {
	var answer struct {
		Data struct {
			Lifetime int64 `json:"ttl"`
			Renews   bool  `json:"renewable"`
		} `json:"data"`
	}
	if err := s.ask(ctx, s.host, s.token, "GET", "auth/token/lookup-self", nil, &answer); err != nil {
		return 0, err
	}
	if answer.Data.Renews {
		s.lifetime = time.Duration(answer.Data.Lifetime) * time.Second
	}
	return s.lifetime, nil
}

// use asks the server for a policy: on the account of an exchange, or, with a nil h, on the
// process's own.
func (s *session) use(ctx context.Context, h *plugin.Host, method, path string, body, answer any) error {
	for again := s.role != nil; ; again = false {
		token, err := s.current(ctx)
		if err != nil {
			return err
		}
		if h != nil {
			err = s.ask(ctx, h, token, method, path, body, answer)
		} else {
			err = s.askOwn(ctx, token, method, path, body, answer)
		}
		if !again || statusOf(err) != 403 {
			return err
		}
		s.refused(token)
	}
}

func (s *session) askOwn(ctx context.Context, token, method, path string, body, answer any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ask(ctx, s.host, token, method, path, body, answer)
}
