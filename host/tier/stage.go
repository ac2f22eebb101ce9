package tier

import (
	"errors"
	"fmt"
	"time"

	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/telemetry"
	"github.com/ergoproxy/ergo/host/tier/when"
)

// stage is a stage as a walk sees it.
type stage struct {
	name    string
	when    *when.Condition // nil: always
	any     bool            // the first policy that lets pass is enough
	keep    int             // if any: the largest keepRequest of its uses
	timeout time.Duration
	maxBody int64 // bound of the request's body; 0: none
	uses    []use
	red     *telemetry.RED
}

// use is a use of a policy as a walk sees it: nil where it has no such phase.
type use struct {
	slot   *Slot
	stage  *stage
	place  Place
	rules  [policy.Overload + 1]manifest.Action
	red    *telemetry.RED
	policy policy.Policy // nil if it could not be loaded

	requestHead  policy.RequestHead
	requestBody  policy.RequestBody // only if it asks for the body
	responseHead policy.ResponseHead
	responseBody policy.ResponseBody // only if it asks for the body
	trailers     policy.Trailers
	failure      policy.Failure
	done         policy.Done
	bodyFault    policy.BodyFault
	bodyBound    policy.BodyBound

	requestNeed  manifest.BodyNeed
	responseNeed manifest.BodyNeed

	undoRequest  bool // keep the request as it was, to go on without the policy
	undoResponse bool
	keepRequest  int // how much may be read of the request's body and still be undone
	keepResponse int
	sees         bool // it has a phase after the request's
	held         bool // its instance is needed beyond the heads: for a stream, trailers or done
}

func (s *stage) build(t *Tier, number int, spec *StageSpec) error {
	*s = stage{
		name:    spec.Name,
		when:    when.Compile(spec.When),
		timeout: spec.Timeout.D(),
		maxBody: int64(spec.MaxRequestBody),
		uses:    make([]use, len(spec.Uses)),
	}
	switch spec.Combine {
	case "", "all":
	case "any":
		s.any = true
	default:
		return fmt.Errorf("combine %q is neither all nor any", spec.Combine)
	}
	var problems []error
	for i, u := range spec.Uses {
		if u.Slot == nil {
			problems = append(problems, fmt.Errorf("use %d has no policy", i))
			continue
		}
		s.uses[i].place = Place{number, i, true}
		s.uses[i].build(s, u, Rules(spec.OnError, u.OnError, u.Slot.Family))
		s.keep = max(s.keep, s.uses[i].keepRequest)
	}
	return errors.Join(problems...)
}

func (u *use) build(s *stage, spec UseSpec, rules manifest.OnError) {
	u.slot, u.stage, u.policy = spec.Slot, s, spec.Slot.Policy
	u.rules = [...]manifest.Action{
		policy.Load: rules.Load, policy.Config: rules.Config, policy.Trap: rules.Trap,
		policy.Timeout: rules.Timeout, policy.Overload: rules.Overload,
	}
	if u.policy == nil {
		return
	}
	needs := u.policy.Needs()
	u.requestNeed, u.responseNeed = needs.RequestBody, needs.ResponseBody
	u.requestHead, _ = u.policy.(policy.RequestHead)
	u.responseHead, _ = u.policy.(policy.ResponseHead)
	u.trailers, _ = u.policy.(policy.Trailers)
	u.failure, _ = u.policy.(policy.Failure)
	u.done, _ = u.policy.(policy.Done)
	u.bodyFault, _ = u.policy.(policy.BodyFault)
	u.bodyBound, _ = u.policy.(policy.BodyBound)
	if inMemory(u.requestNeed) {
		u.requestBody, _ = u.policy.(policy.RequestBody)
	}
	if inMemory(u.responseNeed) {
		u.responseBody, _ = u.policy.(policy.ResponseBody)
	}
	u.sees = u.responseHead != nil || u.responseBody != nil || u.trailers != nil || u.failure != nil
	u.held = u.trailers != nil || u.done != nil ||
		u.requestNeed.Mode == manifest.BodyStream || u.responseNeed.Mode == manifest.BodyStream
	u.keepRequest, u.keepResponse = keep(u.requestNeed), keep(u.responseNeed)
	mends := u.skips(policy.Trap) || u.skips(policy.Timeout) || u.skips(policy.Overload)
	u.undoRequest = mends && !s.any // a stage of kind any keeps the request itself
	u.undoResponse = mends
}

func (u *use) skips(k policy.Kind) bool { return u.rules[k].Kind == actionSkip }

// keep returns how much of a body must be kept to undo a policy with that need.
func keep(n manifest.BodyNeed) int {
	switch n.Mode {
	case manifest.BodyPeek, manifest.BodyBuffer:
		return max(minKept, int(n.Max)+1) // one more tells that it is larger
	case manifest.BodyStream:
		return minKept
	}
	return 0
}

func inMemory(n manifest.BodyNeed) bool {
	return n.Mode == manifest.BodyPeek || n.Mode == manifest.BodyBuffer
}
