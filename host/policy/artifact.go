package policy

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ergoproxy/ergo/host/manifest"
)

// MaxModuleBytes bounds a module. MaxFileBytes bounds its policy.toml.
const (
	MaxModuleBytes = 64 << 20
	MaxFileBytes   = 1 << 20
)

// policyFileName is the file in an artifact's folder that says what it is.
const policyFileName = "policy.toml"

// wasmMagic is how every Wasm binary begins.
var wasmMagic = []byte("\x00asm")

var (
	errNotWasm   = errors.New("is not a Wasm binary")
	errNoProgram = errors.New("is a Wasm binary, not a program")
	errTooLarge  = errors.New("is larger than its bound")
	errIrregular = errors.New("is not a regular file")
)

// Artifact is a policy's bytes and what it says of itself. It is immutable.
type Artifact struct {
	Digest string // "sha256:<hex>" of Module
	Module []byte // the Wasm module
	File   manifest.PolicyFile
	Source string // where it came from, for messages

	text   []byte // of policy.toml; nil for a bare module
	schema *configSchema
}

// NewArtifact makes an artifact of a module and the text of its policy.toml. A
// nil text is a bare module: its name is source's without folder and suffix, and
// it takes any configuration. source is for messages. Neither slice may be
// written to any more. What is wrong in text is a manifest.Problems.
func NewArtifact(source string, text, module []byte) (*Artifact, error) {
	a := &Artifact{Digest: Digest(module), Module: module, Source: source, text: text}
	if text == nil {
		a.File = bareFile(source, a)
		if err := a.checkModule(); err != nil {
			return nil, err
		}
		return a, nil
	}
	file, err := manifest.ParsePolicyFile(inFolder(source), text)
	if err != nil {
		return nil, err
	}
	a.File = *file
	if err := a.checkModule(); err != nil {
		return nil, err
	}
	if a.schema, err = compileSchema(file); err != nil {
		return nil, fmt.Errorf("%s: config: %w", inFolder(source), err)
	}
	return a, nil
}

// checkModule tells modules from programs, so that neither is taken for the other.
func (a *Artifact) checkModule() error {
	switch isWasm := bytes.HasPrefix(a.Module, wasmMagic); {
	case a.File.ABI == Plugin && isWasm:
		return fmt.Errorf("module of %s %w", a.Source, errNoProgram)
	case a.File.ABI != Plugin && !isWasm:
		return fmt.Errorf("module of %s %w", a.Source, errNotWasm)
	}
	return nil
}

// bareFile is what can be known of a module that comes without policy.toml. Its
// version tells builds apart, and its ABI is told by what it exports.
func bareFile(source string, a *Artifact) manifest.PolicyFile {
	abi := Plugin
	path, isProgram := strings.CutPrefix(source, manifest.Program)
	if !isProgram {
		abi = abiOf(a.Module)
	}
	name := filepath.Base(path)
	return manifest.PolicyFile{
		Name:    strings.TrimSuffix(name, filepath.Ext(name)),
		Version: "0.0.0+" + strings.TrimPrefix(a.Digest, digestPrefix)[:12],
		ABI:     abi,
		Module:  name,
	}
}

// LoadArtifact reads an artifact from a folder with a policy.toml, or a bare
// module from a .wasm file, or a bare program from "plugin:" and its file.
func LoadArtifact(source string) (*Artifact, error) {
	path, isProgram := strings.CutPrefix(source, manifest.Program)
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("load policy: %w", err)
	}
	if isProgram || !info.IsDir() {
		folder, name := filepath.Split(path)
		module, err := readIn(folder, name, MaxModuleBytes)
		if err != nil {
			return nil, fmt.Errorf("load policy: %w", err)
		}
		return NewArtifact(source, nil, module)
	}
	text, err := readIn(source, policyFileName, MaxFileBytes)
	if err != nil {
		return nil, fmt.Errorf("load policy: %w", err)
	}
	file, err := manifest.ParsePolicyFile(inFolder(source), text)
	if err != nil {
		return nil, err
	}
	module, err := readIn(source, file.Module, MaxModuleBytes)
	if err != nil {
		return nil, fmt.Errorf("load policy %s: module: %w", file.Name, err)
	}
	return NewArtifact(source, text, module)
}

// inFolder names the policy.toml of a source.
func inFolder(source string) string { return filepath.Join(source, policyFileName) }

// readIn reads a regular file of at most max bytes in a folder, which no link
// leads out of.
func readIn(folder, name string, max int64) ([]byte, error) {
	if folder == "" {
		folder = "."
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	fail := func(err error) error {
		var inRoot *fs.PathError // names the file without its folder
		if errors.As(err, &inRoot) {
			err = inRoot.Err
		}
		return &fs.PathError{Op: "read", Path: filepath.Join(folder, name), Err: err}
	}
	info, err := root.Stat(name) // before the open, which a pipe would block
	switch {
	case err != nil:
		return nil, fail(err)
	case !info.Mode().IsRegular():
		return nil, fail(errIrregular)
	case info.Size() > max:
		return nil, fail(fmt.Errorf("%w of %d bytes", errTooLarge, max))
	}
	file, err := root.Open(name)
	if err != nil {
		return nil, fail(err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, max+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > max { // it has grown
		return nil, fail(fmt.Errorf("%w of %d bytes", errTooLarge, max))
	}
	return data, nil
}

const digestPrefix = "sha256:"

// Digest returns the "sha256:<hex>" of data.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return digestPrefix + hex.EncodeToString(sum[:])
}
