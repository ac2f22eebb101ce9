package policy

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

// GuestConfig returns what a guest reads as its configuration. It is config, which
// is JSON, but for what Envoy and Istio hand over as the text in it: an Any with a
// StringValue, a BytesValue or a Struct (google/protobuf/wrappers.proto).
func GuestConfig(config []byte) ([]byte, error) {
	var any struct {
		Type  string          `json:"@type"`
		Value json.RawMessage `json:"value"`
	}
	if json.Unmarshal(config, &any) != nil || any.Type == "" {
		return config, nil
	}
	kind := any.Type[strings.LastIndexByte(any.Type, '/')+1:]
	if kind == "google.protobuf.Struct" {
		return any.Value, nil
	}
	var text string
	if kind != "google.protobuf.StringValue" && kind != "google.protobuf.BytesValue" {
		return nil, fmt.Errorf("config: @type %q is not known: it is google.protobuf.StringValue, BytesValue or Struct", any.Type)
	}
	if err := json.Unmarshal(any.Value, &text); err != nil {
		return nil, fmt.Errorf("config: value of a %s: %w", kind, err)
	}
	if kind == "google.protobuf.StringValue" {
		return []byte(text), nil
	}
	plain, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("config: value of a %s: %w", kind, err)
	}
	return plain, nil
}
