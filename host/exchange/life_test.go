package exchange

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var errGone = errors.New("gone")

type wait struct{ interrupted int }

func (w *wait) Interrupt() { w.interrupted++ }

func TestLifeEnds(t *testing.T) {
	l := new(Life)
	if l.Err() != nil || l.Cause() != nil || CauseOf(l) != nil {
		t.Fatal("a new life has ended")
	}
	var before, released wait
	if l.Hold(&before) != nil || l.Hold(&released) != nil {
		t.Fatal("nothing may wait")
	}
	l.Release(&released)
	child, cancel := context.WithCancelCause(l)
	defer cancel(nil)
	done := l.Done()
	l.End(errGone)
	l.End(errors.New("too late"))
	<-done
	<-child.Done()
	if l.Err() != context.Canceled || l.Cause() != errGone || CauseOf(child) != errGone {
		t.Errorf("got %v, %v, %v", l.Err(), l.Cause(), CauseOf(child))
	}
	if before.interrupted == 0 || released.interrupted != 0 {
		t.Errorf("interrupted %d and %d times", before.interrupted, released.interrupted)
	}
	if err := l.Hold(new(wait)); err != errGone {
		t.Errorf("hold after the end: got %v", err)
	}
}

func TestLifeFollowsItsContext(t *testing.T) {
	type key struct{}
	parent, cancel := context.WithCancelCause(context.WithValue(context.Background(), key{}, "v"))
	l := NewLife(parent)
	if l.Value(key{}) != "v" || LifeOf(context.WithoutCancel(l)) != l {
		t.Error("a value is missing")
	}
	cancel(errGone)
	<-l.Done()
	if l.Err() != context.Canceled || l.Cause() != errGone {
		t.Errorf("got %v, %v", l.Err(), l.Cause())
	}
	if late := NewLife(parent); late.Err() == nil {
		t.Error("a life after its context's end goes on")
	}
}

func TestLifeNarrowsAndWidens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(Life)
		tier := l.Narrow(Clock() + time.Second)
		stage := l.Narrow(Clock() + 100*time.Millisecond)
		if same := l.Narrow(Clock() + time.Minute); same != l.Until() {
			t.Errorf("a later deadline replaced an earlier one")
		}
		inStage := l.Done()
		child, cancel := context.WithCancel(l)
		defer cancel()
		<-inStage
		<-child.Done()
		if l.Err() != context.DeadlineExceeded {
			t.Errorf("got %v", l.Err())
		}
		l.Widen(stage)
		if l.Err() != nil {
			t.Error("the tier's time is not over yet")
		}
		select {
		case <-l.Done():
			t.Error("its channel is closed")
		default:
		}
		<-l.Done()
		l.Widen(tier)
		if l.Err() != nil || l.Until() != 0 {
			t.Errorf("got %v, %v", l.Err(), l.Until())
		}
		l.End(errGone)
		l.Widen(0)
		if l.Cause() != errGone {
			t.Error("an end was taken back")
		}
	})
}

func TestDeadlineShowsWithoutATimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(Life)
		l.Narrow(Clock() + time.Second)
		if at, ok := l.Deadline(); !ok || time.Until(at) != time.Second {
			t.Errorf("got %v, %v", at, ok)
		}
		time.Sleep(time.Second)
		if l.Err() != context.DeadlineExceeded || l.Hold(new(wait)) != context.DeadlineExceeded {
			t.Errorf("got %v", l.Err())
		}
		<-l.Done()
	})
}

func TestLifeIsReusedOnlyIfNobodyHoldsOn(t *testing.T) {
	l := new(Life)
	l.Narrow(Clock() + time.Hour)
	l.Hold(new(wait))
	l.End(errGone)
	next := l.Next()
	if next != l || next.Err() != nil || next.Until() != 0 || len(next.held) != 0 {
		t.Error("not as new")
	}
	done := next.Done()
	another := next.Next()
	if another == next {
		t.Fatal("reused although its channel is out")
	}
	another.End(errGone)
	select {
	case <-done:
		t.Error("an old channel ended with a new life")
	default:
	}
}

func TestLifeAllocatesNothing(t *testing.T) {
	l := new(Life)
	w := new(wait)
	if n := testing.AllocsPerRun(100, func() {
		before := l.Narrow(Clock() + time.Hour)
		if l.Hold(w) != nil || l.Err() != nil {
			t.Fatal("it has ended")
		}
		l.Release(w)
		l.Widen(before)
		l = l.Next()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestLifeHammer(t *testing.T) {
	for range 200 {
		l := new(Life)
		var all sync.WaitGroup
		var ended sync.WaitGroup
		ended.Add(1)
		stop := context.AfterFunc(l, ended.Done)
		defer stop()
		all.Go(func() { l.End(errGone) })
		all.Go(func() {
			w := new(wait)
			if l.Hold(w) == nil {
				l.Release(w)
			}
		})
		all.Go(func() { l.Widen(l.Narrow(Clock() + time.Nanosecond)) })
		all.Go(func() { <-l.Done() })
		all.Wait()
		ended.Wait()
		if l.Err() == nil {
			t.Fatal("it goes on")
		}
	}
}

func TestExchangeResetKeepsConnAndMemory(t *testing.T) {
	x := &Exchange{Conn: new(Conn), ID: "a"}
	x.Request.Header.Add("a", "b")
	x.Annotate("k", "v")
	life := x.Life()
	conn := x.Conn
	x.Reset()
	if x.Conn != conn || x.ID != "" || x.Request.Header.Len() != 0 || len(x.Notes) != 0 || x.Life() != life {
		t.Errorf("got %+v", x)
	}
}

func TestExchangeContext(t *testing.T) {
	type key struct{}
	x := new(Exchange)
	if x.Context() != context.Context(x.Life()) {
		t.Error("a context that is not the life")
	}
	outer := x.Context()
	x.SetContext(context.WithValue(outer, key{}, "span"))
	if x.Context().Value(key{}) != "span" || LifeOf(x.Context()) != x.Life() {
		t.Error("the value or the life is lost")
	}
	x.SetContext(outer)
	if x.Context().Value(key{}) != nil {
		t.Error("the value is still there")
	}
	foreign, cancel := context.WithCancel(context.Background())
	x.SetContext(foreign)
	cancel()
	<-x.Life().Done()
}

func TestEndIsToldFromDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(Life)
		before := l.Narrow(Clock() + time.Second)
		time.Sleep(time.Second)
		if l.Err() != context.DeadlineExceeded || l.Ended() {
			t.Errorf("its own deadline: got %v, ended %v", l.Err(), l.Ended())
		}
		l.End(errGone)
		l.Widen(before)
		if l.Cause() != errGone || !l.Ended() {
			t.Errorf("got %v, ended %v", l.Cause(), l.Ended())
		}

		outer, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		l = NewLife(outer)
		before = l.Narrow(Clock() + time.Minute)
		<-outer.Done()
		synctest.Wait()
		l.Widen(before)
		if l.Err() != context.DeadlineExceeded || !l.Ended() {
			t.Errorf("the deadline of its context was taken back: %v, ended %v", l.Err(), l.Ended())
		}
	})
}

func TestExchangeBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := &Exchange{Began: Clock()}
		began := time.Now()
		time.Sleep(time.Second)
		if got := x.Begun(); !got.Equal(began) {
			t.Errorf("got %v, want %v", got, began)
		}
		if x.Lap() != x.Began+time.Second || x.Now != x.Began+time.Second {
			t.Errorf("a lap of %v", x.Now-x.Began)
		}
	})
}

// A child asks its parent why that has ended, and panics without an answer.
func TestWidenWaitsForChildrenToEnd(t *testing.T) {
	for range 300 {
		l := new(Life)
		before := l.Narrow(Clock() + time.Microsecond)
		child, cancel := context.WithCancel(l)
		<-l.Done()
		l.Widen(before)
		<-child.Done()
		if child.Err() == nil || l.Err() != nil {
			t.Fatalf("got %v and %v", child.Err(), l.Err())
		}
		cancel()
	}
}

func TestLifeAfterFunc(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(Life)
		l.Narrow(Clock() + time.Second)
		var first, second, late bool
		l.AfterFunc(func() { first = true })
		if stop := l.AfterFunc(func() { second = true }); !stop() || stop() {
			t.Error("stop does not tell whether it stopped")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		l.AfterFunc(func() { late = true })
		synctest.Wait()
		if !first || second || !late {
			t.Errorf("ran: first %v, stopped %v, late %v", first, second, late)
		}
	})
}

func TestWidenKeepsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(Life)
		before, within := l.Narrow(Clock()+time.Second), l.Done()
		child, cancel := context.WithCancel(l)
		defer cancel()
		l.Widen(before)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		select {
		case <-within:
			t.Error("ended by a deadline that was taken back")
		case <-child.Done():
			t.Error("a child ended by a deadline that was taken back")
		default:
		}
	})
}
