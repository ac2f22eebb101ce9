package proxywasm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/wasm"
)

// rootID is the id of the root context of every vm.
const rootID = 1

// vm is one instance of a policy's module, with its root context and the streams
// that live in it. Whoever touches anything of it but dead holds it; what a host
// function acts on is held by whoever called the guest.
type vm struct {
	fleet    *fleet
	instance *wasm.Instance
	held     chan struct{} // full while somebody holds the vm
	dead     chan struct{} // closed when the instance is lost
	cause    error         // of its loss; to be read once dead is closed

	functions [callbackCount]api.Function // looked up when they are first called
	stack     [maxParams]uint64
	allocator [1]uint64           // its stack
	calling   *call               // for the next call of a host function; nil: one is under way
	streams   map[uint32]*stream  // that have a context
	calls     map[uint32]*outward // that are under way
	underWay  atomic.Int32        // how many they are, for who does not hold the vm
	ending    map[uint32]bool     // streams whose on_done said that they are not done yet

	asking     callback      // that runs
	current    *stream       // whose callback runs, or which the guest chose; nil: the root
	effective  uint32        // the id of that context
	lost       bool          // the guest chose a context that is no more
	doomed     []uint32      // contexts that proxy_done was called for
	arrived    *arrival      // what the callback that runs is about; nil: no call
	status     callStatus    // of the root context's last call
	starting   bool          // the module's own start-up: the ABI is closed to it
	allocating bool          // the guest's allocator runs for a host function
	rootDone   chan struct{} // full once proxy_done was called for the root
	foreign    []byte        // arguments of a foreign function that calls back
	scratch    []byte        // of a property's value, or a map
	pairs      []exchange.Field

	ticking    *time.Timer
	tickPeriod time.Duration // 0: no ticks
	tickRound  int           // of timers: one of a round before has no effect
	retired    bool          // no ticks, no queues, no new streams any more
	background sync.WaitGroup

	// Guarded by fleet.mu.
	load int  // streams that were assigned to it
	idle bool // nothing was asked of it since the last Trim
	seen bool // to be on its way out
	worn bool // it asked to be replaced
	gone bool // it is off the fleet
}

// errLost says that the instance of a stream was lost to a failure in another one.
var errLost = errors.New("its instance was lost")

func newVM(f *fleet) *vm {
	return &vm{
		fleet: f, held: make(chan struct{}, 1), dead: make(chan struct{}),
		streams: map[uint32]*stream{}, calls: map[uint32]*outward{}, ending: map[uint32]bool{}, rootDone: make(chan struct{}, 1),
	}
}

// start makes the instance, has it start and takes it through its root context's
// configuration. Nobody else knows the vm yet.
func (v *vm) start(ctx context.Context) error {
	cloned, err := v.clone(ctx)
	if cloned {
		return err
	}
	v.starting = true
	v.instance, err = v.fleet.program.Start(ctx, v.config())
	if err != nil {
		return err
	}
	if err := v.runMain(); err != nil {
		return err
	}
	v.starting = false
	return v.configure()
}

func (v *vm) config() wasm.InstanceConfig {
	f := v.fleet
	return wasm.InstanceConfig{
		MemoryBytes: int64(f.limits.Memory),
		CallTime:    f.limits.Time.D(),
		Log:         f.log,
		Guest:       v,
		Granted:     f.granted,
		Held:        &f.memory,
		Ticks:       &f.ticks,
	}
}

// runMain calls what a reactor's toolchain leaves to the host after _initialize.
func (v *vm) runMain() error {
	if _, initialized := v.fleet.program.Exported("_initialize"); !initialized {
		return nil
	}
	cb := onMain
	if !v.fleet.shapes[onMain].exported {
		cb = onVoidMain
	}
	_, err := v.invoke(cb)
	return err
}

// What a guest says to its configuration.
var (
	errVMStart   = errors.New("proxy_on_vm_start returned false")
	errConfigure = errors.New("proxy_on_configure returned false")
)

func (v *vm) configure() error {
	f := v.fleet
	v.on(nil)
	defer v.off()
	if _, err := v.invoke(onContextCreate, rootID, 0); err != nil {
		return err
	}
	started, err := v.ask(onVMStart, rootID, uint64(len(f.settings.VMConfig)))
	if err != nil || !started {
		return errors.Join(err, refusal(started, errVMStart))
	}
	taken, err := v.ask(onConfigure, rootID, uint64(len(f.config)))
	if err != nil || !taken {
		return errors.Join(err, refusal(taken, errConfigure))
	}
	return nil
}

func refusal(agreed bool, err error) error {
	if agreed {
		return nil
	}
	return err
}

// invoke calls a callback; what the guest does not export returns 0. The error is
// a *wasm.Fault, after which the instance is spent.
func (v *vm) invoke(cb callback, args ...uint64) (uint64, error) {
	s := v.fleet.shapes[cb]
	if !s.exported {
		return 0, nil
	}
	if v.functions[cb] == nil {
		v.functions[cb] = v.instance.Function(callbacks[cb].name)
	}
	v.asking = cb
	stack := v.stack[:max(s.params, 1)]
	copy(stack, args)
	if err := v.instance.Invoke(v.functions[cb], stack); err != nil {
		return 0, err
	}
	if !s.result {
		return 0, nil
	}
	return uint64(uint32(stack[0])), nil
}

// ask calls a callback that answers with yes or no. One that is not exported, or
// has no result, agrees.
func (v *vm) ask(cb callback, args ...uint64) (bool, error) {
	answer, err := v.invoke(cb, args...)
	s := v.fleet.shapes[cb]
	return answer != 0 || !s.exported || !s.result, err
}

// on makes the context of s, or the root's if s is nil, the one that host
// functions act on.
func (v *vm) on(s *stream) {
	v.current, v.effective, v.lost = s, rootID, false
	if s != nil {
		v.effective = s.id
	}
	v.instance.Call().Exchange = s.reachable()
}

// off ends what on began.
func (v *vm) off() {
	v.current, v.lost = nil, false
	v.instance.Call().Exchange = nil
}

// root runs a callback of the root context on whose behalf nobody waits, and returns
// what ask does. The vm is held. A failure loses the vm; but if the guest lacked
// something on behalf of a stream that it chose, it is that stream's.
func (v *vm) root(cb callback, args ...uint64) (agreed bool) {
	v.on(nil)
	agreed, err := v.ask(cb, args...)
	chosen := v.current
	if err == nil {
		err = v.bury()
	}
	v.off()
	v.unattended(cb, chosen, err)
	return agreed
}

// unattended is for failures in callbacks on whose behalf nobody waits, or a stream
// that the guest chose.
func (v *vm) unattended(cb callback, chosen *stream, err error) {
	if err == nil {
		return
	}
	v.fleet.background.Add(1)
	v.fleet.logger.Error("background work of the policy failed", "callback", callbacks[cb].name, "err", err)
	if !spared(err) || v.instance.Spent() {
		v.die(err)
	} else if chosen != nil {
		chosen.lacked = v.fleet.failure(err)
		chosen.notify()
	}
}

// bury deletes the contexts that the guest has said are done. The vm is held.
func (v *vm) bury() error {
	for len(v.doomed) > 0 {
		id := v.doomed[0]
		v.doomed = v.doomed[1:]
		delete(v.ending, id)
		v.on(nil)
		v.effective, v.lost = id, true
		if _, err := v.invoke(onDelete, uint64(id)); err != nil {
			return err
		}
	}
	return nil
}

// hold waits for the vm, without a bound: whoever holds it has a bound of its own.
// It reports false if the vm is lost.
func (v *vm) hold() bool {
	v.held <- struct{}{}
	if v.isDead() {
		<-v.held
		return false
	}
	return true
}

func (v *vm) release() { <-v.held }

func (v *vm) isDead() bool {
	select {
	case <-v.dead:
		return true
	default:
		return false
	}
}

// die gives the instance up. The vm is held; its streams are told.
func (v *vm) die(cause error) {
	if v.isDead() {
		return
	}
	v.cause = cause
	v.stopTicks()
	close(v.dead)
	v.fleet.leave(v, true)
	v.forgetAll()
	clear(v.streams)
	clear(v.ending)
	v.close()
	v.fleet.living.Done()
}

// close ends the instance.
func (v *vm) close() {
	if v.instance == nil {
		return
	}
	if err := v.instance.Close(context.Background()); err != nil {
		v.fleet.logger.Error("close instance", "error", err)
	}
}

// rootGrace is how long a root context may take that is not done at once.
const rootGrace = 5 * time.Second

// retire takes the root context to its end and closes the instance. No stream is
// given to the vm any more, and none is left in it.
func (v *vm) retire() {
	if v.hold() {
		v.endRoot()
		v.release()
	}
	v.background.Wait()
}

// endRoot is retire for who holds the vm. Timers, queues and calls go on for a root
// context that waits for them.
func (v *vm) endRoot() {
	if done := v.root(onDone, rootID); !done && !v.fleet.isolated && !v.isDead() {
		v.awaitRoot()
	}
	v.retired = true
	v.stopTicks()
	for id := range v.ending {
		v.doomed = append(v.doomed, id)
	}
	if !v.isDead() {
		v.unattended(onDelete, nil, v.bury())
		v.off()
	}
	if !v.isDead() {
		v.root(onDelete, rootID)
	}
	if !v.isDead() {
		v.cause = wasm.ErrClosed
		v.forgetAll()
		close(v.dead)
		v.close()
	}
}

// awaitRoot waits until the root context is done, its time is over or the vm is
// lost. The vm is held, but not meanwhile.
func (v *vm) awaitRoot() {
	v.release()
	timer := time.NewTimer(rootGrace)
	defer timer.Stop()
	select {
	case <-v.rootDone:
	case <-v.dead:
	case <-timer.C:
	}
	v.held <- struct{}{}
}

// setTicks has proxy_on_tick called every period, 0 for never again. The vm is
// held.
func (v *vm) setTicks(period time.Duration) {
	v.stopTicks()
	v.tickPeriod = period
	if period > 0 && !v.retired && !v.starting {
		v.armTick()
	}
}

func (v *vm) armTick() {
	v.background.Add(1)
	round := v.tickRound
	v.ticking = time.AfterFunc(v.tickPeriod, func() { v.tick(round) })
}

func (v *vm) stopTicks() {
	if v.ticking != nil && v.ticking.Stop() {
		v.background.Done()
	}
	v.ticking = nil
	v.tickRound++ // one that could not be stopped waits for the vm
}

// tick runs on a goroutine of the timer's.
func (v *vm) tick(round int) {
	defer v.background.Done()
	if !v.hold() {
		return
	}
	defer v.release()
	if v.retired || v.tickRound != round {
		return
	}
	v.ticking = nil
	v.root(onTick, rootID)
	if !v.isDead() && !v.retired && v.tickPeriod > 0 && v.ticking == nil {
		v.armTick()
	}
}

// queueReady tells the root context that a queue has something. It reports false if
// there is nobody to be told any more.
func (v *vm) queueReady(id uint32) bool {
	if !v.hold() {
		return false
	}
	defer v.release()
	if v.retired {
		return false
	}
	v.root(onQueueReady, rootID, uint64(id))
	return true
}

// alloc has the guest allocate n bytes, and returns where; 0 if it does not.
func (v *vm) alloc(n int) uint32 {
	cb := onMemoryAllocate
	if !v.fleet.shapes[cb].exported {
		cb = onMalloc
	}
	s := v.fleet.shapes[cb]
	if !s.exported || s.params != 1 || !s.result || v.allocating {
		return 0
	}
	if v.functions[cb] == nil {
		v.functions[cb] = v.instance.Function(callbacks[cb].name)
	}
	v.allocator[0] = uint64(uint32(n))
	v.allocating = true
	v.instance.Nested(v.functions[cb], v.allocator[:])
	v.allocating = false
	return uint32(v.allocator[0])
}

// levelOf turns the ABI's log level into slog's; ok is false for what there is not.
func levelOf(level uint32) (l slog.Level, ok bool) {
	return slog.Level(int(level)*4 - 8), level <= 5
}

// logLevel is the least level that is logged, as the ABI numbers them.
func (v *vm) logLevel() uint32 {
	for level := uint32(0); level < 5; level++ {
		if l, _ := levelOf(level); v.fleet.log.Enabled(l) {
			return level
		}
	}
	return 5
}

// describe names the vm's end for a stream that was in it.
func (v *vm) describe() error { return fmt.Errorf("%w: %w", errLost, v.cause) }
