package manifest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/ergoproxy/ergo/host/manifest/internal/place"
)

// Bounds of files: a manifest, and what one refers to, of which routes by the
// thousand are the largest.
const (
	maxFileBytes     = 1 << 20
	maxReferredBytes = 16 << 20
)

// Lookup returns the value of an environment variable and whether it is set.
type Lookup func(name string) (value string, ok bool)

// Option changes how a file is read.
type Option func(*settings)

type settings struct {
	lookup       Lookup
	readFile     func(path string) ([]byte, error)
	capabilities []string // nil: any name
}

// WithEnv takes environment variables from lookup instead of the process.
func WithEnv(lookup Lookup) Option {
	return func(s *settings) { s.lookup = lookup }
}

// WithReadFile reads the files that a manifest refers to (secrets, certificates,
// endpoints) with read instead of from disk. Its paths are absolute.
func WithReadFile(read func(path string) ([]byte, error)) Option {
	return func(s *settings) { s.readFile = read }
}

// WithCapabilities names the capability modules there are: any other grant is a
// problem. Without it the names of grants are not checked.
func WithCapabilities(known ...string) Option {
	return func(s *settings) { s.capabilities = append([]string{}, known...) }
}

func newSettings(options []Option) settings {
	s := settings{lookup: os.LookupEnv, readFile: readReferred}
	for _, option := range options {
		option(&s)
	}
	return s
}

// Load reads and checks the manifest at path. What is wrong in it is a Problems;
// any other error says why the file could not be read.
func Load(path string, options ...Option) (*Manifest, error) {
	data, err := ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read manifest %s: %w", path, err)
	}
	return Parse(path, data, options...)
}

// Parse is Load for a manifest that was read already. The path need not exist:
// it names the file in problems, and relative paths are relative to its folder.
// The error is a Problems or nil. Whoever is done with a manifest that may have
// keys closes it.
func Parse(path string, data []byte, options ...Option) (*Manifest, error) {
	source, raw, problems := read(path, data)
	if problems != nil {
		return nil, problems
	}
	m := &Manifest{source: source}
	d := newDecoder(source, newSettings(options))
	d.structure("", raw, reflect.ValueOf(m).Elem())
	d.complete(m)
	validate(d, m)
	d.problems.Sort()
	m.warnings.Sort()
	if err := d.problems.Err(); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// Source returns where the manifest's keys stand, for problems that are found
// later.
func (m *Manifest) Source() *Source { return m.source }

// Warnings are what is allowed but hardly meant, such as a policy that no stage
// uses.
func (m *Manifest) Warnings() Problems { return m.warnings }

// complete fills in the defaults that depend on other keys.
func (d *decoder) complete(m *Manifest) {
	for i := range m.Listeners {
		if l := &m.Listeners[i]; l.Name == "" {
			l.Name = l.Address
		}
	}
	for _, tier := range []*Tier{&m.Edge, &m.Service} {
		for i := range tier.Stages {
			if stage := &tier.Stages[i]; stage.OnError == nil {
				deny := denyAll()
				stage.OnError = &deny
			}
		}
	}
	for name, p := range m.Policies {
		if program, ok := strings.CutPrefix(p.Source, Program); ok {
			p.Source = Program + d.absolute(program)
		} else if p.Source != "" && !hasScheme(p.Source) {
			p.Source = d.absolute(p.Source)
		}
		m.Policies[name] = p
	}
	if path, ok := strings.CutPrefix(m.Host.Admin, "unix:"); ok && path != "" {
		m.Host.Admin = "unix:" + d.absolute(path)
	}
	for name, key := range m.Keys {
		if s := key.Source; s != nil {
			s.resolved = d.resolved(place.Key(KeySourcePath(name), "config"), s.Config)
		}
	}
	d.resolveConfigs("edge", &m.Edge)
	d.resolveConfigs("service", &m.Service)
}

// read parses TOML and finds the places of its keys. What it cannot parse is
// one problem.
func read(path string, data []byte) (*Source, map[string]any, Problems) {
	source := &Source{file: path, places: &place.Index{}}
	if len(data) > maxFileBytes {
		return nil, nil, Problems{source.Problem("", "is larger than 1 MiB", "a configuration file is short")}
	}
	places := place.Scan(string(data))
	if at, deep := places.TooDeep(); deep {
		p := source.Problem("", "nests too deep", fmt.Sprintf("at most %d levels", place.MaxDepth))
		p.Line, p.Column = at.Line, at.Column
		return nil, nil, Problems{p}
	}
	raw := make(map[string]any)
	if _, err := toml.Decode(string(data), &raw); err != nil {
		return nil, nil, Problems{syntaxProblem(source, data, err)}
	}
	if twice := places.Twice(); twice != nil {
		p := source.Problem(place.Key("", twice.Key), fmt.Sprintf("has a value already, in line %d", twice.First.Line), "keep one of the two")
		p.Line, p.Column = twice.Second.Line, twice.Second.Column
		return nil, nil, Problems{p}
	}
	source.places = places
	plain(raw)
	return source, raw, nil
}

// syntaxProblem places an error of the TOML parser.
func syntaxProblem(source *Source, data []byte, err error) Problem {
	p := source.Problem("", err.Error(), "write TOML, see https://toml.io/en/v1.1.0")
	var syntax toml.ParseError
	if !errors.As(err, &syntax) {
		return p
	}
	p.Wrong = strings.TrimSuffix(syntax.Message, ".")
	before := string(data[:min(max(syntax.Position.Start, 0), len(data))])
	p.Line = 1 + strings.Count(before, "\n")
	p.Column = len(before) - strings.LastIndexByte(before, '\n')
	return p
}

// ReadFile reads the text of a manifest for Parse. It refuses what is no regular
// file or larger than a manifest can be.
func ReadFile(path string) ([]byte, error) { return readRegular(path, maxFileBytes) }

func readReferred(path string) ([]byte, error) { return readRegular(path, maxReferredBytes) }

// readRegular reads a regular file of bounded size: a pipe or device would block
// or never end.
func readRegular(path string, max int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: path, Err: errNotRegular}
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, max+1))
	if err == nil && int64(len(data)) > max {
		err = &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("%w %d MiB", errTooLarge, max>>20)}
	}
	return data, err
}

var (
	errNotRegular = errors.New("is not a regular file")
	errTooLarge   = errors.New("is larger than")
)

// cause is why a file could not be read, without the operation.
func cause(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Path + ": " + path.Err.Error()
	}
	return err.Error()
}

// absolute is filepath.Abs where that cannot fail for want of a working folder.
func absolute(path string) string {
	if full, err := filepath.Abs(path); err == nil {
		return full
	}
	return filepath.Clean(path)
}

// Program is what the source of a plugin without a policy.toml begins with.
const Program = "plugin:"

// hasScheme reports whether a policy's source is not a path but "oci://..." or
// "plugin:...".
func hasScheme(source string) bool {
	scheme, _, found := strings.Cut(source, ":")
	return found && len(scheme) > 1 && place.IsBareKey(scheme)
}
