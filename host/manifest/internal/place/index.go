// Package place finds where the keys and array elements of a TOML document
// stand, which the TOML parser does not tell.
//
// A path names one of them: "edge.stage[0].use[1].config.header"; a key that
// TOML wants quoted is quoted in a path too.
package place

// Index is where the keys and elements of one document stand. It is immutable.
type Index struct {
	root    *node
	tooDeep *node
	twice   *Twice
}

// Twice is a key that has a value twice.
type Twice struct {
	Key           string
	First, Second Position
}

// Position is a line and a column, both from 1; columns count bytes.
type Position struct{ Line, Column int }

// MaxDepth bounds how deep arrays and inline tables nest. What is deeper has no
// place.
const MaxDepth = 64

// TooDeep returns where the document nests deeper than MaxDepth, if it does.
func (x *Index) TooDeep() (Position, bool) {
	if x.tooDeep == nil {
		return Position{}, false
	}
	return x.tooDeep.Position, true
}

// Twice returns the first key that is given a value twice, or nil. The parser
// overlooks some, such as a.b = 1 followed by a = 2.
func (x *Index) Twice() *Twice { return x.twice }

// Find returns the position of the longest beginning of path that is in the
// document, and whether that is the whole of it. The zero Index has none.
func (x *Index) Find(path string) (at Position, whole bool) {
	n := x.root
	if n == nil {
		return Position{1, 1}, false
	}
	for _, step := range Split(path) {
		next := n.child(step)
		if next == nil {
			return n.Position, false
		}
		n = next
	}
	return n.Position, true
}

// node is where a key or an array element stands, and what is below it.
type node struct {
	Position
	keys     map[string]*node
	elements []*node
}

// child returns the node one step below, or nil.
func (n *node) child(s Step) *node {
	if !s.IsElement {
		return n.keys[s.Key]
	}
	if s.Index < len(n.elements) {
		return n.elements[s.Index]
	}
	return nil
}

// enter returns the node of a key below n, which it makes if need be.
func (n *node) enter(k part) *node {
	if below := n.keys[k.name]; below != nil {
		return below
	}
	if n.keys == nil {
		n.keys = make(map[string]*node)
	}
	below := &node{Position: k.at}
	n.keys[k.name] = below
	return below
}

// add appends an element to the array at n.
func (n *node) add(at Position) *node {
	element := &node{Position: at}
	n.elements = append(n.elements, element)
	return element
}
