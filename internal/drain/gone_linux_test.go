package drain

import (
	"net/http"
	"testing"
)

// Broken on purpose, and seen red:
//   - flush does not look whether the peer has reset behind its end

// A client that loses patience closes while its request is being answered. The answer
// draws a reset, of which nobody hears who has read the client's end before, and what
// is outstanding stays so.
func TestAPeerThatGaveUpDoesNotHoldFlush(t *testing.T) {
	asked := make(chan struct{})
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
		hello(w, r)
	}))
	s.Retire()
	c := dial(t, s.addr)
	c.send(get)
	<-asked
	must(t, c.Close())
	s.flushed(t)
}
