package main

import (
	"fmt"
	"time"
)

const (
	trickleTime   = 2 * time.Second
	tricklePieces = 20
)

// newTrickler sends its bodies drop by drop, every other one in chunks.
func newTrickler(s seat) *poster {
	chunked := false
	return pouring(s, func(p *poster, posted []byte) (answer, error) {
		chunked = !chunked
		if err := p.trickle(posted, chunked); err != nil {
			return answer{}, err
		}
		return p.receive()
	})
}

// trickle sends the head at once, and the body over trickleTime. The server echoes
// what it has, so by then the head of the answer is long here.
func (p *poster) trickle(posted []byte, chunked bool) error {
	length := len(posted)
	if chunked {
		length = -1
	}
	if err := p.send(p.target.appendPost(nil, length, "")); err != nil {
		return err
	}
	for i := range tricklePieces {
		time.Sleep(trickleTime / tricklePieces)
		piece := posted[i*len(posted)/tricklePieces : (i+1)*len(posted)/tricklePieces]
		if err := p.drop(piece, chunked); err != nil {
			return err
		}
	}
	if chunked {
		return p.send([]byte("0\r\n\r\n"))
	}
	return nil
}

// drop sends one piece of a body. An empty chunk would be its end.
func (p *poster) drop(piece []byte, chunked bool) error {
	if len(piece) == 0 {
		return nil
	}
	if chunked {
		piece = fmt.Appendf(nil, "%x\r\n%s\r\n", len(piece), piece)
	}
	return p.send(piece)
}
