package meter

import (
	"encoding/binary"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unsafe"
)

// However much of the stack a function was written to take, what its calls take
// until the guest comes to the host is bounded.
func TestStackGrowsSlowly(t *testing.T) {
	const most = Chunk<<frameShift + maxFrame
	for _, tc := range greedyFunctions() {
		t.Run(tc.what, func(t *testing.T) {
			var depth, grown uintptr
			m := newMachine(t, Rewrite, nil)
			f := m.load(t, tc.module).ExportedFunction("run")
			top := reflect.ValueOf(f).Elem().FieldByName("stackTop")
			m.onStack = func(params []uint64) {
				before := depth
				depth = uintptr(top.Uint()) - uintptr(unsafe.Pointer(&params[0]))
				if grown = max(grown, depth-before); depth > 4<<20 {
					panic(errEnough)
				}
			}
			if err := f.CallWithStack(t.Context(), make([]uint64, 1000)); !errors.Is(err, errEnough) {
				t.Fatalf("got %v, want it to be stopped", err)
			}
			t.Logf("%d KiB", grown>>10)
			if grown > most {
				t.Errorf("the stack grew by %d bytes, want %d at most", grown, most)
			}
		})
	}
}

type greedy struct {
	what   string
	module []byte
}

// greedyFunctions call themselves without end, and keep much for when they come
// back.
func greedyFunctions() []greedy {
	const n = 3000
	const (
		load     = zero + "\x28\x02\x00"     // i32.load
		vector   = zero + "\xfd\x00\x04\x00" // v128.load
		add      = "\x6a"
		addLanes = "\xfd\xae\x01" // i32x4.add
		self     = "\x10\x00"
	)
	run := "\x02\x40" + self + end // in a block, so that it is no tail
	keep := func(value, sum, last string) string {
		return strings.Repeat(value, n) + run + strings.Repeat(sum, n-1) + last
	}
	locals := ""
	for k := range n {
		locals += load + "\x21" + number(uint64(k))
	}
	sum := zero
	for k := range n {
		sum += "\x20" + number(uint64(k)) + add
	}
	many := strings.Repeat("\x7f", 900)
	return []greedy{
		{"operands", selfish("\x00\x00", "", zero+keep(load, add, "\x36\x02\x00"))},
		{"vectors", selfish("\x00\x00", "", zero+keep(vector, addLanes, "\xfd\x0b\x04\x00"))},
		{"locals", selfish("\x00\x00", number(n)+"\x7f", locals+run+zero+sum+"\x36\x02\x00")},
		{"locals of loops", selfish("\x00\x00", number(200)+"\x7f", nest(200, 100, run))},
		{"parameters", selfish("\x84\x07"+many+"\x00", "", parameters(900)+self)},
		{"results", selfish("\x00\x84\x07"+many, "", strings.Repeat(self, 20)+strings.Repeat(strings.Repeat(add, 900-1)+drop, 19))},
		{"what is not reached", selfish("\x00\x00", "", load+ifThen+zero+keep(load, add, "\x36\x02\x00")+end+self)},
		{"vectors that are not reached", selfish("\x00\x00", "", load+ifThen+zero+keep(vector, addLanes, "\xfd\x0b\x04\x00")+end+self)},
		{"locals of loops that are not reached", selfish("\x00\x00", number(200)+"\x7f", load+ifThen+nest(200, 100, run)+end+self)},
		{"little", selfish("\x00\x00", "", self)},
	}
}

// selfish is a module of one function, "run", with a type and locals.
func selfish(shape, locals, body string) []byte {
	function := "\x00" + body + end
	if locals != "" {
		function = "\x01" + locals + body + end
	}
	return moduleOf(
		section(sectionType, "\x01\x60"+shape), section(sectionFunction, "\x01\x00"), section(sectionMemory, "\x01\x00\x01"),
		section(sectionExport, "\x01\x03run\x00\x00"),
		section(sectionCode, "\x01"+string(appendSized(nil, []byte(function)))))
}

// nest is so many loops around code that sets locals, each of which is another
// value where each loop begins.
func nest(locals, loops int, code string) string {
	sets := ""
	for k := range locals {
		local := number(uint64(k))
		sets += "\x20" + local + "\x41\x01\x6a\x21" + local
	}
	return strings.Repeat(loop, loops) + sets + code +
		strings.Repeat("\x20\x00"+brIf0+end, loops)
}

func parameters(n int) string {
	text := ""
	for k := range n {
		text += string(binary.AppendUvarint([]byte{opLocalGet}, uint64(k)))
	}
	return text
}

func TestFramesAreBounded(t *testing.T) {
	body := strings.Repeat(zero, 200_000) + strings.Repeat(drop, 200_000)
	_, err := Rewrite(selfish("\x00\x00", "", body))
	if err == nil || !strings.Contains(err.Error(), "whose frame may take") {
		t.Errorf("got %v, want an error that says how large a frame may be", err)
	}
}
