package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"log"

	"github.com/ergoproxy/ergo/sdk/plugin"
)

// transit is what happens to bodies, by a key that never leaves the server.
type transit struct {
	Mount    string `json:"mount"`
	Key      string `json:"key"`
	Request  string `json:"request"`  // "encrypt", "decrypt" or ""
	Response string `json:"response"` // likewise
	Bind     bool   `json:"bind_path"`
}

const (
	encrypt = "encrypt"
	decrypt = "decrypt"
)

// errCiphertext says that a body was not encrypted with the key, or for another path.
var errCiphertext = errors.New("it is not what the key has encrypted")

// OnRequest follows plugin.RequestHandler: of what is encrypted as a whole there are no parts.
func (v *vault) OnRequest(_ context.Context, x *plugin.Exchange) error {
	if v.Transit != nil && v.Transit.Response != "" {
		x.Request.Header.Del("range")
	}
	return nil
}

// OnRequestBody follows plugin.RequestBodyHandler.
func (v *vault) OnRequestBody(ctx context.Context, x *plugin.Exchange, body []byte) error {
	if v.Transit == nil || v.Transit.Request == "" || len(body) == 0 {
		return nil
	}
	out, err := v.through(ctx, x, v.Transit.Request, body)
	switch {
	case errors.Is(err, errCiphertext):
		refuse(x, 400, "the body is not encrypted as it has to be\n")
	case err != nil:
		log.Print(v.Transit.Request, " a request: ", err)
		refuse(x, 503, "this cannot be encrypted now\n", plugin.Field{Name: "retry-after", Value: "5"})
	default:
		settle(&x.Request.Header)
		x.ReplaceBody(out)
	}
	return nil
}

// OnResponseBody follows plugin.ResponseBodyHandler. What is no success is not what was stored.
func (v *vault) OnResponseBody(ctx context.Context, x *plugin.Exchange, body []byte) error {
	if v.Transit == nil || v.Transit.Response == "" || len(body) == 0 || x.Response.Status < 200 || x.Response.Status > 299 {
		return nil
	}
	out, err := v.through(ctx, x, v.Transit.Response, body)
	if err != nil {
		log.Print(v.Transit.Response, " a response: ", err)
		refuse(x, 502, "what is stored cannot be read now\n")
		return nil
	}
	settle(&x.Response.Header)
	x.ReplaceBody(out)
	return nil
}

func refuse(x *plugin.Exchange, status int, text string, fields ...plugin.Field) {
	fields = append(fields, plugin.Field{Name: "content-type", Value: "text/plain; charset=utf-8"}, plugin.Field{Name: "cache-control", Value: "no-store"})
	x.Answer(status, fields, []byte(text))
}

// settle drops what is said of the bytes that were there.
func settle(h *plugin.Header) {
	for _, name := range []string{"content-md5", "digest", "content-digest", "repr-digest", "accept-ranges"} {
		h.Del(name)
	}
}

// through has the server encrypt or decrypt a body.
func (v *vault) through(ctx context.Context, x *plugin.Exchange, do string, body []byte) ([]byte, error) {
	t := v.Transit
	ask := map[string]string{}
	if t.Bind {
		ask["associated_data"] = base64.StdEncoding.EncodeToString([]byte(x.Request.Path()))
	}
	if do == encrypt {
		ask["plaintext"] = base64.StdEncoding.EncodeToString(body)
	} else if body = bytes.TrimSpace(body); bytes.HasPrefix(body, []byte("vault:v")) {
		ask["ciphertext"] = string(body)
	} else {
		return nil, errCiphertext
	}
	var answer struct {
		Data struct{ Plaintext, Ciphertext *string } `json:"data"`
	}
	err := v.session.use(ctx, &x.Host, "POST", escape(t.Mount)+"/"+do+"/"+escape(t.Key), ask, &answer)
	switch {
	case do == decrypt && statusOf(err) == 400:
		return nil, errCiphertext
	case err != nil:
		return nil, err
	case do == encrypt && answer.Data.Ciphertext != nil:
		return []byte(*answer.Data.Ciphertext), nil
	case do == decrypt && answer.Data.Plaintext != nil:
		return base64.StdEncoding.DecodeString(*answer.Data.Plaintext)
	}
	return nil, errors.New("the answer has neither plaintext nor ciphertext")
}
