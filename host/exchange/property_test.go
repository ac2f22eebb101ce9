package exchange

import (
	"errors"
	"strconv"
	"strings"
	"testing"
)

func TestSetProperty(t *testing.T) {
	x := new(Exchange)
	name, value := []byte("peer"), []byte("one")
	for _, v := range []string{"one", "two"} {
		copy(value, v)
		if err := x.SetProperty(Property{Name: string(name), Value: string(value), Text: true}); err != nil {
			t.Fatal(err)
		}
	}
	if p, ok := x.Property("peer"); !ok || p.Value != "two" || !p.Text || len(x.Properties) != 1 {
		t.Errorf("got %+v of %d, want \"two\" alone", p, len(x.Properties))
	}
	if p, ok := x.Property("pee"); ok {
		t.Errorf("got %+v, want none", p)
	}
}

func TestReadOnlyPropertyIsGivenOnce(t *testing.T) {
	x := new(Exchange)
	if err := x.SetProperty(Property{Name: "peer", Value: "one", ReadOnly: true}); err != nil {
		t.Fatal(err)
	}
	if err := x.SetProperty(Property{Name: "peer", Value: "two"}); !errors.Is(err, ErrPropertyReadOnly) {
		t.Errorf("got %v, want %v", err, ErrPropertyReadOnly)
	}
	if p, _ := x.Property("peer"); p.Value != "one" {
		t.Errorf("got %q, want \"one\"", p.Value)
	}
}

func TestPropertiesAreBounded(t *testing.T) {
	x := new(Exchange)
	for i := range MaxProperties {
		if err := x.SetProperty(Property{Name: strconv.Itoa(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.SetProperty(Property{Name: "one more"}); !errors.Is(err, ErrPropertyRoom) {
		t.Errorf("one more: got %v, want %v", err, ErrPropertyRoom)
	}
	if err := x.SetProperty(Property{Name: "0", Value: strings.Repeat("v", MaxPropertyBytes)}); !errors.Is(err, ErrPropertyRoom) {
		t.Errorf("a long one: got %v, want %v", err, ErrPropertyRoom)
	}
	if err := x.SetProperty(Property{Name: "0", Value: strings.Repeat("v", MaxPropertyBytes/2)}); err != nil {
		t.Errorf("one that fits in another's place: %v", err)
	}
}
