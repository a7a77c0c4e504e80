package overlap

import "sync"

// orders are what was said about leaving: to retire, and to stay after all.
type orders struct {
	mu    sync.Mutex
	asked chan struct{} // closed by retire
	undo  chan struct{} // closed by takeBack
	again bool          // retire was called after takeBack, before that was done
	only  bool          // to leave to a successor, or not at all
}

func newOrders() orders { return orders{asked: make(chan struct{}), undo: make(chan struct{})} }

func (o *orders) retire() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.only = false
	o.leave()
}

// handOver is retire where somebody takes over. It does not soften an order to retire.
func (o *orders) handOver() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.only = o.only || !isClosed(o.asked) || isClosed(o.undo)
	o.leave()
}

// leave gives the order. o.mu is held.
func (o *orders) leave() {
	o.again = isClosed(o.undo) // this one comes after the one that is taken back
	closeOnce(o.asked)
}

// toSuccessor says whether the order is to leave to a successor only.
func (o *orders) toSuccessor() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.only
}

func (o *orders) takeBack() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.again = false
	if isClosed(o.asked) {
		closeOnce(o.undo)
	}
}

// retireAsked is closed when the order to retire has been given.
func (o *orders) retireAsked() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked
}

// begin takes it that the order to retire has been given. It returns what is closed when
// that is taken back.
func (o *orders) begin() (undo <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	closeOnce(o.asked)
	return o.undo
}

// obeyed begins anew after a retirement that was taken back.
func (o *orders) obeyed() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked, o.undo = make(chan struct{}), make(chan struct{})
	if o.again {
		close(o.asked)
	}
	o.only = o.only && o.again
	o.again = false
}

func closeOnce(c chan struct{}) {
	if !isClosed(c) {
		close(c)
	}
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
