package policy

import "testing"

func TestGuestConfig(t *testing.T) {
	const of = "type.googleapis.com/google.protobuf."
	for _, test := range []struct{ config, want string }{
		{``, ``},
		{`{}`, `{}`},
		{`{"path":"/tea"}`, `{"path":"/tea"}`},
		{`{"@type":"","value":"x"}`, `{"@type":"","value":"x"}`},
		{`{"@type":7}`, `{"@type":7}`},
		{`{"@type":"` + of + `StringValue","value":"a text"}`, `a text`},
		{`{"@type":"google.protobuf.StringValue","value":""}`, ``},
		{`{"@type":"` + of + `BytesValue","value":"AP8="}`, "\x00\xff"},
		{`{"@type":"` + of + `Struct","value":{"a": [1]}}`, `{"a": [1]}`},
	} {
		got, err := GuestConfig([]byte(test.config))
		if err != nil || string(got) != test.want {
			t.Errorf("%s: got %q, %v, want %q", test.config, got, err, test.want)
		}
	}
	for _, config := range []string{
		`{"@type":"` + of + `StringValue","value":7}`,
		`{"@type":"` + of + `StringValue"}`,
		`{"@type":"` + of + `BytesValue","value":"!"}`,
		`{"@type":"` + of + `Int64Value","value":"7"}`,
	} {
		if got, err := GuestConfig([]byte(config)); err == nil {
			t.Errorf("%s: got %q, want an error", config, got)
		}
	}
}
