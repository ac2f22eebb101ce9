package wasm

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/telemetry"
)

const ample = 10 * time.Second

func TestFaults(t *testing.T) {
	cases := []struct {
		function string
		callTime time.Duration
		kind     FaultKind
		says     string
	}{
		{"trap", ample, Trapped, "unreachable"},
		{"spin", 20 * time.Millisecond, TimedOut, ""},
		{"exit", ample, Exited, "proc_exit(7)"},
		{"recurse", ample, StackOverflow, ""},
		{"bomb", ample, OutOfMemory, "1048576 bytes"},
	}
	for _, tc := range cases {
		t.Run(tc.function, func(t *testing.T) {
			i := guest(t, tc.callTime, nil)
			_, err := invoke(i, tc.function)
			wantFault(t, err, tc.kind)
			if !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%v\ndoes not say %q", err, tc.says)
			}
			if !i.Spent() {
				t.Error("the instance is said to be usable")
			}
		})
	}
}

// What a host function traps with reaches who called the guest.
func TestHostFunctionsError(t *testing.T) {
	cause := errors.New("cause")
	i := guest(t, ample, func(*Call) { panic(cause) })
	_, err := invoke(i, "block")
	wantFault(t, err, Trapped)
	if !errors.Is(err, cause) {
		t.Errorf("%v does not wrap its cause", err)
	}
}

func TestCallsOfOneInstance(t *testing.T) {
	i := guest(t, ample, nil)
	for want := uint64(1); want <= 3; want++ {
		got, err := invoke(i, "calls")
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("call %d of the instance says %d", want, got)
		}
	}
	if i.Spent() {
		t.Error("the instance is said to be spent")
	}
}

func TestStartFaults(t *testing.T) {
	cases := []struct {
		how     int
		timeout time.Duration
		kind    FaultKind
		says    string
	}{
		{startNever, 50 * time.Millisecond, TimedOut, ""},
		{startTrap, ample, Trapped, "unreachable"},
		{startExit, ample, Exited, "reactor"},
		{startBomb, ample, OutOfMemory, "1048576 bytes"},
	}
	for _, tc := range cases {
		e := openEngine(t, Options{StartTimeout: tc.timeout})
		p := compile(t, e, guestModule, testABI(tc.how, nil))
		config := configFor(ample)
		_, err := p.Start(t.Context(), config)
		wantFault(t, err, tc.kind)
		if !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%v\ndoes not say %q", err, tc.says)
		}
		if got := config.Held.Load(); got != 0 {
			t.Errorf("%d bytes are held by no instance", got)
		}
	}
}

// Time that the host takes is not the guest's, and the guest's own goes on
// counting after it.
func TestPauseStopsTheClock(t *testing.T) {
	const callTime = 250 * time.Millisecond
	clock := &handClock{step: time.Microsecond}
	i := guestWith(t, Options{clock: clock.now}, callTime, func(c *Call) {
		for range 3 {
			c.Check()
			c.Pause()
			clock.time += 2 * callTime
			c.Resume()
		}
	})
	if _, err := invoke(i, "block"); err != nil {
		t.Errorf("the host's time was counted: %v", err)
	}
	_, err := invoke(i, "block_spin")
	wantFault(t, err, TimedOut)
}

// Who comes to the host after the deadline is trapped there.
func TestHostFunctionsAfterTheDeadline(t *testing.T) {
	late := []struct {
		what string
		call func(*Call)
	}{
		{"pause", (*Call).Pause},
		{"check", (*Call).Check},
	}
	for _, tc := range late {
		clock := new(handClock)
		i := guestWith(t, Options{clock: clock.now}, time.Millisecond, func(c *Call) {
			c.Check()
			clock.time += time.Millisecond
			c.Check()
			clock.time++
			tc.call(c)
		})
		_, err := invoke(i, "block")
		wantFault(t, err, TimedOut)
		if !errors.Is(err, ErrTime) {
			t.Errorf("%s: %v, want %v", tc.what, err, ErrTime)
		}
	}
}

// A call that comes to its end after the deadline has failed too.
func TestEndAfterTheDeadline(t *testing.T) {
	clock := new(handClock)
	i := guestWith(t, Options{clock: clock.now}, time.Millisecond, func(c *Call) {
		c.Check()
		clock.time += time.Millisecond + 1
	})
	_, err := invoke(i, "block")
	wantFault(t, err, TimedOut)
}

func TestSleepEndsWithTheDeadline(t *testing.T) {
	i := guest(t, 20*time.Millisecond, nil)
	began := time.Now()
	_, err := invoke(i, "sleep", uint64(time.Hour))
	wantFault(t, err, TimedOut)
	if slept := time.Since(began); slept > ample {
		t.Errorf("it slept %v", slept)
	}
}

func TestClocksAreReal(t *testing.T) {
	i := guest(t, ample, nil)
	before := time.Now().UnixNano()
	now, err := invoke(i, "clock", 0)
	if err != nil {
		t.Fatal(err)
	}
	if after := time.Now().UnixNano(); int64(now) < before || int64(now) > after {
		t.Errorf("the guest's clock says %d, between %d and %d", int64(now), before, after)
	}
	first, _ := invoke(i, "clock", 1)
	if _, err := invoke(i, "sleep", uint64(2*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	second, _ := invoke(i, "clock", 1)
	if slept := time.Duration(second - first); slept < 2*time.Millisecond {
		t.Errorf("a sleep of 2 ms took %v by the guest's own clock", slept)
	}
}

func TestRandomnessDiffers(t *testing.T) {
	a, b := guest(t, ample, nil), guest(t, ample, nil)
	first, _ := invoke(a, "random")
	second, _ := invoke(b, "random")
	if first == second {
		t.Errorf("two instances drew %x", first)
	}
}

func TestNothingOfTheHostIsVisible(t *testing.T) {
	i := guest(t, ample, nil)
	got, err := invoke(i, "surroundings")
	if err != nil {
		t.Fatal(err)
	}
	if got != 0 {
		t.Errorf("the guest finds %d arguments, variables and folders", got)
	}
}

func TestPrintedLines(t *testing.T) {
	var log bytes.Buffer
	p := compile(t, openEngine(t, Options{}), guestModule, testABI(startWell, nil))
	config := configFor(ample)
	config.Log = NewLog(plainLogger(&log), 100)
	i := start(t, p, config)
	i.Call().Exchange = &exchange.Exchange{ID: "x-1"}
	if _, err := invoke(i, "print"); err != nil {
		t.Fatal(err)
	}
	want := `level=INFO msg="first line" stream=stdout request_id=x-1
level=WARN msg="first line" stream=stderr request_id=x-1
level=INFO msg="second half" stream=stdout request_id=x-1
`
	if got := log.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestLogFlood(t *testing.T) {
	var log bytes.Buffer
	p := compile(t, openEngine(t, Options{}), guestModule, testABI(startWell, nil))
	config := configFor(ample)
	now := time.Unix(1000, 0)
	config.Log = NewLog(plainLogger(&log), 5)
	config.Log.LineLimit = telemetry.NewLineLimit(plainLogger(&log), 5, func() time.Time { return now })
	i := start(t, p, config)
	if _, err := invoke(i, "flood", 1000); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(log.String(), "\n"); got != 5 {
		t.Errorf("%d lines were logged, want 5", got)
	}
	now = now.Add(time.Second)
	log.Reset()
	if _, err := invoke(i, "flood", 6); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "dropped=995 lines_per_second=5") {
		t.Errorf("the next second does not tell what was dropped:\n%s", log.String())
	}
	log.Reset()
	config.Log.Close()
	if !strings.Contains(log.String(), "dropped=1 ") {
		t.Errorf("the end does not tell what was dropped:\n%s", log.String())
	}
	if got := config.Log.Lost(); got != 996 {
		t.Errorf("%d lines lost in all, want 996", got)
	}
}

func TestLongLinesAreCut(t *testing.T) {
	var log bytes.Buffer
	w := &lineWriter{call: callFor(NewLog(plainLogger(&log), 100), new(handClock)), stream: "stdout"}
	piece := bytes.Repeat([]byte("x"), 3000)
	for range 5 {
		if n, err := w.Write(piece); n != len(piece) || err != nil {
			t.Fatalf("wrote %d, %v", n, err)
		}
	}
	_, _ = w.Write([]byte("\nnext\n"))
	want := "level=INFO msg=" + strings.Repeat("x", maxLine) + " stream=stdout\nlevel=INFO msg=next stream=stdout\n"
	if got := log.String(); got != want {
		t.Errorf("got %d bytes, want %d", len(got), len(want))
	}
}

// One call of fd_write can print memory more often than a deadline allows.
func TestPrintingEndsWithTheDeadline(t *testing.T) {
	clock := &handClock{step: time.Millisecond}
	w := &lineWriter{call: callFor(NewLog(nil, 1), clock), stream: "stdout"}
	w.call.budget.begin(10 * time.Millisecond)
	defer func() {
		if got := recover(); got != ErrTime {
			t.Errorf("got %v, want %v", got, ErrTime)
		}
	}()
	_, _ = w.Write(bytes.Repeat([]byte("line\n"), 12))
}

func TestMemoryIsCounted(t *testing.T) {
	p := compile(t, openEngine(t, Options{HeapMemory: true}), guestModule, testABI(startWell, nil))
	config := configFor(ample)
	a, err := p.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	start(t, p, config)
	if _, err := invoke(a, "grow", 3); err != nil {
		t.Fatal(err)
	}
	if got, want := config.Held.Load(), int64(5<<16); got != want {
		t.Errorf("%d bytes held, want %d", got, want)
	}
	if err := a.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := config.Held.Load(), int64(1<<16); got != want {
		t.Errorf("%d bytes held after one is closed, want %d", got, want)
	}
}
