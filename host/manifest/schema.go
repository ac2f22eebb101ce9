package manifest

import (
	_ "embed" // the schema's descriptions are the comments of manifest.go
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/netip"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"
)

//go:embed manifest.go
var typesText string

//go:embed key.go
var keyTypesText string

// SchemaID names the schema that JSONSchema returns.
const SchemaID = "urn:ergo:manifest:1"

// JSONSchema returns the JSON Schema (2020-12) of the manifest, for editors:
// what it refuses Load refuses too, but not all that Load refuses can be said
// in a schema.
func JSONSchema() ([]byte, error) {
	comments, err := typeComments(typesText, keyTypesText)
	if err != nil {
		return nil, err
	}
	reflector := jsonschema.Reflector{
		FieldNameTag:               "toml",
		RequiredFromJSONSchemaTags: true,
		Mapper:                     formSchema,
		LookupComment: func(t reflect.Type, field string) string {
			return comments[t.Name()+"."+field]
		},
	}
	schema := reflector.Reflect(&Manifest{})
	schema.ID, schema.Title = SchemaID, "Ergo manifest (proxy.toml)"
	addTags(schema, reflect.TypeFor[Manifest](), make(map[reflect.Type]bool))
	addForms(schema)
	return json.MarshalIndent(schema, "", "  ")
}

// typeComments returns the comments of types ("Host.") and fields
// ("Host.Admin").
func typeComments(texts ...string) (map[string]string, error) {
	comments := make(map[string]string)
	for _, text := range texts {
		file, err := parser.ParseFile(token.NewFileSet(), "", text, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("read the manifest's types: %w", err)
		}
		addComments(comments, file)
	}
	return comments, nil
}

func addComments(comments map[string]string, file *ast.File) {
	for _, declaration := range file.Decls {
		general, ok := declaration.(*ast.GenDecl)
		if !ok || general.Tok != token.TYPE {
			continue
		}
		for _, spec := range general.Specs {
			named := spec.(*ast.TypeSpec)
			comments[named.Name.Name+"."] = oneLine(general.Doc)
			structure, ok := named.Type.(*ast.StructType)
			if !ok {
				continue
			}
			for _, field := range structure.Fields.List {
				for _, name := range field.Names {
					comments[named.Name.Name+"."+name.Name] = oneLine(field.Doc) + oneLine(field.Comment)
				}
			}
		}
	}
}

func oneLine(comment *ast.CommentGroup) string {
	return strings.Join(strings.Fields(comment.Text()), " ")
}

const (
	durationPattern = `^[-+]?([0-9.]+(ns|us|µs|μs|ms|s|m|h)|0)+$`
	sizePattern     = `^[0-9]+(B|KiB|MiB|GiB)$`
)

// formSchema is the schema of a type that is written otherwise than its Go
// fields say; nil for the others.
func formSchema(t reflect.Type) *jsonschema.Schema {
	switch reflect.Zero(t).Interface().(type) {
	case Duration:
		return &jsonschema.Schema{Type: "string", Pattern: durationPattern, Examples: []any{"250ms", "1m30s"}}
	case Size:
		return &jsonschema.Schema{Type: "string", Pattern: sizePattern, Examples: []any{"64KiB", "16MiB"}}
	case Secret:
		return &jsonschema.Schema{Type: "string", Examples: []any{"env:NAME", "file:path"}}
	case netip.Prefix:
		return &jsonschema.Schema{Type: "string", Examples: []any{"10.0.0.0/8", "192.0.2.1/32"}}
	case OnError:
		kinds := jsonschema.NewProperties()
		for _, kind := range failureKinds {
			kinds.Set(kind, actionSchema())
		}
		byKind := &jsonschema.Schema{Type: "object", Properties: kinds, AdditionalProperties: jsonschema.FalseSchema}
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{actionSchema(), byKind}}
	case []HeaderMatch:
		value := &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "string"}, {Type: "boolean"}}}
		return &jsonschema.Schema{Type: "object", AdditionalProperties: value}
	}
	return nil
}

func actionSchema() *jsonschema.Schema {
	properties := jsonschema.NewProperties()
	properties.Set("respond", &jsonschema.Schema{Type: "integer", Minimum: "400", Maximum: "599"})
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{
		{Enum: []any{"deny", "skip"}},
		{Type: "object", Properties: properties, Required: []string{"respond"}, AdditionalProperties: jsonschema.FalseSchema},
	}}
}

// addTags writes what the tags of t and of the types below it say into their
// definitions.
func addTags(schema *jsonschema.Schema, t reflect.Type, done map[reflect.Type]bool) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	definition := schema.Definitions[t.Name()]
	if t.Kind() != reflect.Struct || definition == nil || done[t] {
		return
	}
	done[t] = true
	for i := range t.NumField() {
		field := t.Field(i)
		key := field.Tag.Get("toml")
		if key == "" {
			continue
		}
		property, _ := definition.Properties.Get(key)
		addTag(property, field)
		if field.Tag.Get("required") != "" {
			definition.Required = append(definition.Required, key)
		}
		addTags(schema, field.Type, done)
	}
}

// addTag writes what a field's tag says into the property of that field.
func addTag(property *jsonschema.Schema, field reflect.StructField) {
	if text, ok := field.Tag.Lookup("default"); ok {
		property.Default = tagValue(field.Type, text)
	}
	for _, value := range strings.Fields(field.Tag.Get("enum")) {
		property.Enum = append(property.Enum, value)
	}
	if field.Type.Kind() == reflect.Int || field.Type.Kind() == reflect.Float64 {
		property.Minimum = json.Number(field.Tag.Get("min"))
		property.Maximum = json.Number(field.Tag.Get("max"))
	}
	if field.Tag.Get("required") != "" {
		one := uint64(1)
		switch field.Type.Kind() {
		case reflect.String:
			property.MinLength = &one
		case reflect.Slice:
			property.MinItems = &one
		}
	}
	if field.Tag.Get("form") == "one-or-list" {
		item := *property.Items
		list := &jsonschema.Schema{Type: "array", Items: property.Items}
		*property = jsonschema.Schema{Description: property.Description, AnyOf: []*jsonschema.Schema{&item, list}}
	}
}

// tagValue is a default as it would stand in TOML.
func tagValue(t reflect.Type, text string) any {
	v := reflect.New(t).Elem()
	mustParse(v, text)
	if isText(v) || t.Kind() == reflect.String {
		return text
	}
	return v.Interface()
}

// addForms adds the second form of an endpoint: a URL alone.
func addForms(schema *jsonschema.Schema) {
	table := schema.Definitions["Endpoint"]
	one := uint64(1)
	schema.Definitions["Endpoint"] = &jsonschema.Schema{
		Description: table.Description,
		AnyOf:       []*jsonschema.Schema{{Type: "string", MinLength: &one}, table},
	}
	table.Description = ""
}
