package manifest

import "testing"

func TestSchemaGolden(t *testing.T) {
	got, err := JSONSchema()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/schema.json", append(got, '\n'))
}
