package main

import "net/http"

// newExpecter asks before it sends a body, and sends it when it may.
func newExpecter(s seat) *poster { return pouring(s, pourWhenAsked) }

// pourWhenAsked sends the head, waits for 100 Continue, and sends the body. Any
// other answer is the last word: then the body stays here.
func pourWhenAsked(p *poster, posted []byte) (answer, error) {
	p.wire = p.target.appendPost(p.wire[:0], len(posted), "Expect: 100-continue\r\n")
	if err := p.send(p.wire); err != nil {
		return answer{}, err
	}
	a, err := p.receive()
	if err != nil || a.status != http.StatusContinue {
		a.last = true // the server would take the next head for this body
		return a, err
	}
	if err := p.send(posted); err != nil {
		return answer{}, err
	}
	return p.receive()
}
