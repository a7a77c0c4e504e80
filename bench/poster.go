package main

import (
	"context"
	"math/rand/v2"
)

// longestPost bounds the bodies of POSTs.
const longestPost = 4096

// poster sends bodies of chance, which must come back as they were.
type poster struct {
	*client
	target target
	random
	wire []byte
	// pour sends the request and reads the answer.
	pour func(p *poster, posted []byte) (answer, error)
}

func newPoster(s seat) *poster { return pouring(s, pourAtOnce) }

func pouring(s seat, pour func(*poster, []byte) (answer, error)) *poster {
	return &poster{
		client: newClient(s.dialer.speaking("http/1.1"), s.timeout),
		target: s.target, random: random{dice: s.dice()}, pour: pour,
	}
}

func (p *poster) call(_ context.Context, l *ledger) {
	entry := l.begin()
	posted := p.bytes()
	a, err := p.converse(false, func() (answer, error) { return p.pour(p, posted) })
	if err == nil {
		err = p.target.check(a, posted)
	}
	entry.end(a, err)
}

// pourAtOnce writes head and body with one call.
func pourAtOnce(p *poster, posted []byte) (answer, error) {
	p.wire = append(p.target.appendPost(p.wire[:0], len(posted), ""), posted...)
	if err := p.send(p.wire); err != nil {
		return answer{}, err
	}
	return p.receive()
}

// random makes bodies that nothing else can look like.
type random struct {
	dice *rand.ChaCha8
	buf  [longestPost]byte
}

// bytes returns the next body. It is valid until the one after.
func (r *random) bytes() []byte {
	b := r.buf[:1+r.dice.Uint64()%longestPost]
	r.dice.Read(b) // cannot fail
	return b
}
