package main

import (
	"fmt"
	"strings"
	"testing"
)

// heavy are bodies of 64 KiB that take longest.
func heavy() map[string][2]string {
	text := strings.Repeat("lorem ipsum dolor sit amet consectetur ", 64<<10/39)
	words := strings.Fields(text)
	many := make([]string, 0, 990)
	for n := 0; n < 990; n++ {
		many = append(many, fmt.Sprintf(`"k%d":"%s"`, n, strings.Join(words[n*6%len(words):][:8], " ")))
	}
	return map[string][2]string{
		"text in JSON": {"application/json", `{"text":"` + text[:65000] + `"}`},
		"one value":    {form, "x=" + strings.ReplaceAll(text[:65000], " ", "+")},
		"many values":  {"application/json", ("{" + strings.Join(many, ",") + "}")},
		"form 100":     {form, "name=somebody&text=" + strings.ReplaceAll(text[:80], " ", "+")},
		"JSON 1 KiB":   {"application/json", `{"text":"` + text[:1000] + `"}`},
	}
}

func BenchmarkInspect(b *testing.B) {
	f := defaults(b)
	b.Run("get", func(b *testing.B) {
		for b.Loop() {
			inspect(b, f, request("GET", "/a/b?c=d"), "")
		}
	})
	for name, c := range heavy() {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				inspect(b, f, request("POST", "/a", "Content-Type", c[0], "Content-Length", fmt.Sprint(len(c[1]))), c[1])
			}
		})
	}
}
