package listen

import (
	"net"
	"sync"
)

// queueBound is how many connections wait for Accept while the instance serves.
// A small number keeps the backlog where operators look for it, in the kernel,
// and lets a service that no longer calls Accept be seen.
const queueBound = 16

// queue is what the pumps have accepted and nobody has asked for yet.
type queue struct {
	mu      sync.Mutex
	notFull sync.Cond
	arrived sync.Cond

	conns     []*net.TCPConn
	err       error // one failure to report, once
	total     int
	unbounded bool
	finished  bool // nothing will be pushed any more
	closed    bool

	asked     chan struct{} // closed at the first pop
	exhausted chan struct{} // closed when a pop waits after finish
}

func newQueue() *queue {
	q := &queue{asked: make(chan struct{}), exhausted: make(chan struct{})}
	q.notFull.L = &q.mu
	q.arrived.L = &q.mu
	return q
}

// push adds a connection, waiting for room unless the queue is unbounded.
func (q *queue) push(c *net.TCPConn) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.conns) >= queueBound && !q.unbounded && !q.closed {
		q.notFull.Wait()
	}
	if q.closed {
		c.Close()
		return
	}
	q.total++
	q.conns = append(q.conns, c)
	q.arrived.Signal()
}

// pop returns the oldest connection, or waits for one until close.
func (q *queue) pop() (*net.TCPConn, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	once(q.asked)
	for len(q.conns) == 0 {
		if q.closed {
			return nil, net.ErrClosed
		}
		if err := q.err; err != nil {
			q.err = nil
			return nil, err
		}
		if q.finished {
			once(q.exhausted)
		}
		q.arrived.Wait()
	}
	c := q.conns[0]
	q.conns[0] = nil
	q.conns = q.conns[1:]
	q.notFull.Signal()
	return c, nil
}

// once closes a channel that may be closed already. q.mu is held.
func once(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}

// fail reports err to one pop.
func (q *queue) fail(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.err = err
	q.arrived.Signal()
}

// setUnbounded says whether push may wait for room.
func (q *queue) setUnbounded(unbounded bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.unbounded = unbounded
	q.notFull.Broadcast()
}

// finish says that nothing will be pushed any more.
func (q *queue) finish() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.finished = true
	q.arrived.Broadcast()
}

// close ends every pop and push and drops what is left.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for _, c := range q.conns {
		c.Close()
	}
	q.conns = nil
	q.arrived.Broadcast()
	q.notFull.Broadcast()
}

func (q *queue) accepted() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.total
}
