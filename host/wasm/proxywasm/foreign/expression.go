package foreign

import (
	"encoding/binary"
	"math"

	"cel.dev/cel-go/cel"

	"github.com/ergoproxy/ergo/host/wasm/proxywasm/property"
)

// Bounds of expressions: how many a policy may have, how large, and what one
// evaluation may cost, in steps and in bytes that it makes.
const (
	maxExpressions     = 128
	maxExpressionBytes = 4 << 10
	maxExpressionNodes = 1000
	maxExpressionDepth = 100
	maxCost            = 20_000
	maxCostBytes       = 256 << 10
)

// expression is one that guests made.
type expression struct {
	text    string
	program cel.Program
	// deleted says that a guest has no use for it. Others may still: instances that
	// are copies share what was made before. So it stays until its place is needed.
	deleted bool
	used    uint64 // when it last was
}

// createExpression returns the same token for the same text.
func createExpression(f *Functions, args []byte, _ *property.Source) ([]byte, Status) {
	if len(args) > maxExpressionBytes {
		return nil, BadArgument
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for token, e := range f.expressions {
		if e.text == string(args) {
			e.deleted = false
			f.touch(e)
			return tokenBytes(token), OK
		}
	}
	if len(f.expressions) >= maxExpressions && !f.makeRoom() {
		return nil, InternalFailure
	}
	program, err := f.compile(string(args))
	if err != nil {
		return nil, BadArgument
	}
	if f.expressions == nil {
		f.expressions = make(map[uint32]*expression)
	}
	f.lastToken++
	e := &expression{text: string(args), program: program}
	f.touch(e)
	f.expressions[f.lastToken] = e
	return tokenBytes(f.lastToken), OK
}

// compile is called with mu held. Variables are not declared: an exchange tells
// what there is.
func (f *Functions) compile(text string) (cel.Program, error) {
	if f.language == nil {
		language, err := cel.NewEnv(
			cel.ParserExpressionSizeLimit(maxExpressionBytes), cel.ExpressionNodeLimit(maxExpressionNodes),
			cel.ParserRecursionLimit(maxExpressionDepth), cel.ParserErrorRecoveryLimit(0),
		)
		if err != nil {
			return nil, err
		}
		f.language = language
	}
	parsed, issues := f.language.Parse(text)
	if err := issues.Err(); err != nil {
		return nil, err
	}
	return f.language.Program(parsed, cel.CostLimit(maxCost), cel.MemoryLimit(maxCostBytes))
}

// makeRoom drops the expression that nobody has used for the longest of those that
// guests have deleted. It is called with mu held.
func (f *Functions) makeRoom() bool {
	oldest, token := uint64(math.MaxUint64), uint32(0)
	for t, e := range f.expressions {
		if e.deleted && e.used < oldest {
			oldest, token = e.used, t
		}
	}
	delete(f.expressions, token)
	return token != 0
}

func (f *Functions) touch(e *expression) {
	f.lastUse++
	e.used = f.lastUse
}

func evaluateExpression(f *Functions, args []byte, s *property.Source) ([]byte, Status) {
	if len(args) != 4 {
		return nil, BadArgument
	}
	f.mu.Lock()
	e := f.expressions[binary.LittleEndian.Uint32(args)]
	if e != nil {
		f.touch(e)
	}
	f.mu.Unlock()
	if e == nil {
		return nil, NotFound
	}
	value, _, err := e.program.Eval(variables{s})
	if err != nil {
		return nil, InternalFailure
	}
	result, ok := (&encoder{left: maxCostBytes}).encode(value)
	if !ok {
		return nil, SerializationFailure
	}
	return result, OK
}

func deleteExpression(f *Functions, args []byte, _ *property.Source) ([]byte, Status) {
	if len(args) != 4 {
		return nil, BadArgument
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if e := f.expressions[binary.LittleEndian.Uint32(args)]; e != nil {
		e.deleted = true
	}
	return nil, OK
}

func tokenBytes(token uint32) []byte { return binary.LittleEndian.AppendUint32(nil, token) }
