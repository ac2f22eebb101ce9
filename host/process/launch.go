package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/process/child"
	"github.com/ergoproxy/ergo/sdk/plugin/pluginpb"
)

// errContract says that a process asks for something else than the one before it.
var errContract = errors.New("it asks to see something else than the process before it")

// launch starts processes of one policy.
type launch struct {
	name    string // of the policy
	program child.Program
	config  []byte
	log     *slog.Logger
	call    ownCall
}

// process is one that runs, with the stream of its exchanges.
type process struct {
	*child.Process
	stream *stream
}

// start starts a process, configures it, and proves that it is well. What it says on standard
// error meanwhile is part of the error.
func (l *launch) start(ctx context.Context) (*process, *pluginpb.Contract, error) {
	said := l.program.Lines.Recent()
	q, contract, err := l.open(ctx)
	if err == nil {
		return q, contract, nil
	}
	var refused *policy.Error
	if words := said(); words != "" && !errors.As(err, &refused) {
		err = fmt.Errorf("%w: it said: %s", err, words)
	}
	return nil, nil, err
}

func (l *launch) open(ctx context.Context) (*process, *pluginpb.Contract, error) {
	started, err := l.program.Start(ctx)
	if err != nil {
		return nil, nil, err
	}
	q := &process{Process: started}
	contract, err := l.configure(ctx, q)
	if err != nil {
		q.kill()
	}
	return q, contract, err
}

func (l *launch) configure(ctx context.Context, q *process) (*pluginpb.Contract, error) {
	bounded, cancel := context.WithTimeout(ctx, l.program.Limits.Start.D())
	defer cancel()
	remote := pluginpb.NewPolicyClient(q.Conn)
	contract, err := remote.Configure(bounded, &pluginpb.Configuration{Policy: l.name, Config: l.config})
	if status.Code(err) == codes.InvalidArgument {
		return nil, &policy.Error{Kind: policy.Config, Policy: l.name, Err: errors.New(status.Convert(err).Message())}
	}
	if err != nil {
		return nil, fmt.Errorf("configure: %w", err)
	}
	if contract.Keys && !contract.Start {
		return nil, fmt.Errorf("%w: a source of keys has to prepare", errProtocol)
	}
	streaming, stop := context.WithCancel(context.Background())
	carry, err := remote.Carry(streaming)
	if err != nil {
		stop()
		return nil, fmt.Errorf("open its stream: %w", err)
	}
	var o *own
	if contract.Start {
		o = newOwn(l.call)
	}
	q.stream = newStream(carry, stop, o)
	go q.stream.run()
	if o != nil {
		if err := o.await(bounded, q.stream); err != nil {
			return nil, fmt.Errorf("prepare: %w", err)
		}
	}
	return contract, nil
}

// run carries exchanges until the process or ctx ends, and returns why.
func (q *process) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, q.stream.cancel)
	defer stop()
	<-q.stream.ended
	return q.stream.cause()
}

// end asks the process to end, and makes it.
func (q *process) end() {
	q.hangUp()
	q.End()
}

// kill ends the process at once, whatever there is of it.
func (q *process) kill() {
	q.hangUp()
	q.Kill()
}

// hangUp ends the stream, if there is one.
func (q *process) hangUp() {
	if q.stream != nil {
		q.stream.cancel()
		<-q.stream.ended
	}
}

func equal(a, b *pluginpb.Contract) bool { return proto.Equal(a, b) }
