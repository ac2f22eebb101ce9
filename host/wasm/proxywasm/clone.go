package proxywasm

import (
	"context"
	"errors"
	"fmt"

	"github.com/ergoproxy/ergo/host/wasm"
)

// snapshot makes an image of the first vm once it is configured, of which the others
// are clones. What the host keeps of a root context goes with it: its ticks. A
// context that is on its way out has more than that.
func (f *fleet) snapshot(v *vm) {
	if f.settings.Service || !v.hold() {
		return // there is one vm, or it is lost already
	}
	defer v.release()
	err := f.program.Clonable(f.grants)
	if err == nil && len(v.doomed)+len(v.ending)+len(v.rootDone) > 0 {
		err = fmt.Errorf("%w: its root context is done", wasm.ErrNotClonable)
	}
	if err == nil && len(v.calls) > 0 {
		err = fmt.Errorf("%w: its root context waits for a call", wasm.ErrNotClonable)
	}
	if err == nil {
		f.image, err = v.instance.Snapshot()
	}
	if err != nil {
		f.counts.Plain = err.Error()
		f.logger.Info("instances start one by one", "reason", err)
		return
	}
	f.period = v.tickPeriod
}

// clone makes the vm a clone of the first one. It reports false if that is not
// possible, so that it has to start.
func (v *vm) clone(ctx context.Context) (cloned bool, err error) {
	f := v.fleet
	if f.image == nil {
		return false, nil
	}
	v.starting = true // it may draw anew, and nothing else
	v.instance, err = f.image.Clone(ctx, v.config())
	v.starting = false
	var fault *wasm.Fault
	if err != nil {
		return errors.As(err, &fault), err
	}
	v.setTicks(f.period)
	return true, nil
}
