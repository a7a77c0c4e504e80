package control

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/ba995850/overlap/internal/printable"
)

const (
	// mostAnswered bounds what an endpoint can make us read as one answer, or one event.
	mostAnswered = 1 << 20
	// mostRefused bounds what it can say of why it does not.
	mostRefused = 4 << 10
	// mostPrivate bounds what its private answers can make us read.
	mostPrivate = 16 << 20
	// mostAtOnce bounds how many are asked at a time.
	mostAtOnce = 64
	// quiet is how long an instance that is followed may say nothing. It says how it is each
	// second.
	quiet = 5 * time.Second
)

// Found is an instance that has an endpoint. One that does not answer, because it is
// stopped or stuck, has an error, and of its Status the Instance and the PID.
type Found struct {
	Status
	Err error

	// Here means that its process is in our PID namespace: in a container, that it is one of
	// the container's own.
	Here bool
}

// SharesPort says whether two instances share a port, as only those of one user do.
func (f Found) SharesPort(other Found) bool {
	return f.UID == other.UID && slices.ContainsFunc(f.Ports, func(p Port) bool {
		return slices.ContainsFunc(other.Ports, func(q Port) bool { return p.Addr == q.Addr })
	})
}

// Find returns all instances in this network namespace that are ours to ask, in the order
// in which they were started. Each has timeout to answer. Those of other users are left
// out, and for root there are none.
func Find(ctx context.Context, timeout time.Duration) ([]Found, error) {
	return FindEach(ctx, func(string) time.Duration { return timeout })
}

// FindEach is Find for who knows some of them: patience says how long the instance with
// this name has to answer. One that has no time is not asked, and not found.
func FindEach(ctx context.Context, patience func(instance string) time.Duration) ([]Found, error) {
	return findEach(ctx, patience, func(Found) bool { return false })
}

// FindUntil is Find for who looks for one: once that is found, nobody else is waited for.
func FindUntil(ctx context.Context, timeout time.Duration, wanted func(Found) bool) ([]Found, error) {
	return findEach(ctx, func(string) time.Duration { return timeout }, wanted)
}

func findEach(ctx context.Context, patience func(instance string) time.Duration, wanted func(Found) bool) ([]Found, error) {
	ctx, enough := context.WithCancel(ctx)
	defer enough()
	all, err := names()
	if err != nil {
		return nil, err
	}
	found := make([]*Found, len(all))
	began := time.Now()
	var asking sync.WaitGroup
	room := make(chan struct{}, mostAtOnce)
	for i, name := range all {
		timeout := patience(name)
		if timeout <= 0 {
			continue
		}
		room <- struct{}{}
		asking.Go(func() {
			ctx, stop := context.WithDeadline(ctx, began.Add(timeout))
			defer stop()
			if found[i] = find(ctx, name); found[i] != nil && wanted(*found[i]) {
				enough()
			}
			<-room
		})
	}
	asking.Wait()
	return inOrder(found), nil
}

// find returns nil where there is nobody any more, or somebody else's.
func find(ctx context.Context, name string) *Found {
	c, who, err := dial(ctx, name)
	switch {
	case errors.Is(err, errForeign) || errors.Is(err, syscall.ECONNREFUSED):
		return nil
	case err != nil: // its queue may be full, for it is stopped
		return &Found{Status: Status{Instance: name}, Err: err}
	}
	s, err := ask(ctx, c, who, http.MethodGet, "status")
	s.Instance = name
	return &Found{Status: s, Err: err, Here: who.pid != 0}
}

// inOrder leaves out what is not there.
func inOrder(found []*Found) (all []Found) {
	for _, f := range found {
		if f != nil {
			all = append(all, *f)
		}
	}
	slices.SortStableFunc(all, func(a, b Found) int {
		return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.PID, b.PID))
	})
	return all
}

// Ask returns the status of an instance.
func Ask(ctx context.Context, instance string) (Status, error) {
	return call(ctx, instance, http.MethodGet, "status")
}

// Retire tells an instance to leave, as SIGTERM does. It returns at once.
func Retire(ctx context.Context, instance string) (Status, error) {
	return call(ctx, instance, http.MethodPost, "retire")
}

// HandOver tells an instance to leave to a successor, and to stay where none takes over. It
// returns at once.
func HandOver(ctx context.Context, instance string) (Status, error) {
	return call(ctx, instance, http.MethodPost, "hand-over")
}

// TakeBack tells a retiring instance to stay, if its listeners are still open. Whether it
// does is seen by its state.
func TakeBack(ctx context.Context, instance string) (Status, error) {
	return call(ctx, instance, http.MethodPost, "take-back")
}

// Pin tells a dark instance to be in the rotation.
func Pin(ctx context.Context, instance string) (Status, error) {
	return call(ctx, instance, http.MethodPost, "pin")
}

// Unpin tells an instance to be out of the rotation, and not to retire. It returns an error
// where nobody takes over.
func Unpin(ctx context.Context, instance string) (Status, error) {
	return call(ctx, instance, http.MethodPost, "unpin")
}

// Knock has an instance make new connections to each of its ports until one has come to it:
// then the status counts it as accepted. It returns an error where none comes.
func Knock(ctx context.Context, instance string) (Status, error) {
	return call(ctx, instance, http.MethodPost, "knock")
}

// Private sends r to what an instance answers beside the language of endpoints, see Open.
// Of its URL the path and the query count. The caller closes the body of the answer, which
// has an error where it is longer than anybody should have to read.
func Private(instance string, r *http.Request) (*http.Response, error) {
	c, who, err := dial(r.Context(), instance)
	if err != nil {
		return nil, fmt.Errorf("instance %s: %w", instance, err)
	}
	r.URL.Scheme, r.URL.Host = "http", "overlap"
	resp, err := send(c, r)
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("process %d: %w", who.pid, err)
	}
	resp.Body = http.MaxBytesReader(nil, resp.Body, mostPrivate)
	return resp, nil
}

// Follow calls f with the status of an instance, and then with each event, until the
// instance has ended, f returns an error, or ctx ends.
func Follow(ctx context.Context, instance string, f func(Event) error) error {
	c, who, err := dial(ctx, instance)
	if err != nil {
		return fmt.Errorf("instance %s: %w", instance, err)
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(quiet))
	resp, err := request(ctx, c, http.MethodGet, "events")
	if err != nil {
		return fmt.Errorf("process %d: %w", who.pid, err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, mostAnswered)
	for lines.Scan() {
		e, err := parseEvent(lines.Bytes())
		if err == nil {
			err = f(e)
		}
		if err != nil {
			return err
		}
		c.SetReadDeadline(time.Now().Add(quiet))
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("process %d: %w", who.pid, err)
	}
	return nil
}

func parseEvent(line []byte) (e Event, err error) {
	if err := json.Unmarshal(line, &e); err != nil {
		return e, err
	}
	for _, text := range []*string{&e.State, &e.Phase, &e.Notice} {
		*text = printable.Of(*text)
	}
	if e.Status != nil {
		e.Status.clean()
	}
	return e, nil
}

// clean takes out what would do something to a terminal: an endpoint may be of a user whom
// root does not trust.
func (s *Status) clean() {
	for _, text := range []*string{&s.Release, &s.Program, &s.State, &s.Phase, &s.Addr, &s.Tier, &s.Why} {
		*text = printable.Of(*text)
	}
	for i := range s.Ports {
		s.Ports[i].Addr = printable.Of(s.Ports[i].Addr)
	}
}

// call makes one request on a connection of its own.
func call(ctx context.Context, instance, method, path string) (Status, error) {
	c, who, err := dial(ctx, instance)
	if err != nil {
		return Status{}, fmt.Errorf("instance %s: %w", instance, err)
	}
	return ask(ctx, c, who, method, path)
}

// ask makes a request of who is at the other end of c, and closes it. The PID is in the
// status also beside an error.
func ask(ctx context.Context, c net.Conn, who peer, method, path string) (s Status, err error) {
	defer c.Close()
	resp, err := request(ctx, c, method, path)
	if err == nil {
		defer resp.Body.Close()
		err = json.NewDecoder(io.LimitReader(resp.Body, mostAnswered)).Decode(&s)
	}
	if refused := new(refusal); errors.As(err, &refused) {
		return Status{PID: who.pid, UID: who.uid}, err
	}
	if err != nil {
		return Status{PID: who.pid, UID: who.uid}, fmt.Errorf("process %d does not answer as an instance does: %w", who.pid, err)
	}
	s.UID = who.uid
	s.clean()
	if who.pid != 0 { // of a process in another PID namespace the kernel says nothing
		s.PID = who.pid
	}
	return s, nil
}

// request asks for a path on c. The caller closes the body of the answer.
func request(ctx context.Context, c net.Conn, method, path string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://overlap/"+version+"/"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := send(c, r)
	if err != nil {
		return nil, err
	}
	switch resp.StatusCode {
	case http.StatusOK:
		return resp, nil
	case http.StatusConflict:
		err = readRefusal(resp.Body)
	default:
		err = fmt.Errorf("it answered %s", resp.Status)
	}
	resp.Body.Close()
	return nil, err
}

// refusal is what an instance says that will not do what it was told to.
type refusal struct{ why string }

func (r *refusal) Error() string { return r.why }

func readRefusal(r io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(r, mostRefused))
	if err != nil {
		return err
	}
	return &refusal{printable.Of(strings.TrimSpace(string(text)))}
}

// send sends a request on c, which ends with the body of the answer.
func send(c net.Conn, r *http.Request) (*http.Response, error) {
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return c, nil },
	}}
	return client.Do(r)
}
