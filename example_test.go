package overlap_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"

	"github.com/ba995850/overlap"
)

func hello(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }

// The whole program. Start the next release next to it, then send it SIGTERM.
func ExampleListenAndServe() {
	http.HandleFunc("/", hello)
	if err := overlap.ListenAndServe(":8080", nil); err != nil {
		log.Fatal(err)
	}
}

// A server and a context of one's own. The instance retires when ctx ends; here it
// does so once it has answered a request.
func ExampleServe() {
	ctx, retire := context.WithCancel(context.Background())
	opts := overlap.Options{
		Release: "v1",
		OnState: func(from, to overlap.State) { fmt.Println(from, "to", to) },
	}
	srv := &http.Server{Addr: "127.0.0.1:0", Handler: http.HandlerFunc(hello)}
	srv.BaseContext = func(ln net.Listener) context.Context {
		go func() {
			defer retire()
			resp, err := http.Get("http://" + ln.Addr().String())
			if err != nil {
				log.Fatal(err)
			}
			resp.Body.Close()
		}()
		return context.Background()
	}
	if err := overlap.Serve(ctx, opts, srv); err != nil {
		log.Fatal(err)
	}
	// Output:
	// starting to serving
	// serving to retiring
	// retiring to drained
}

// A listener for a server that is not net/http's. When Retire returns, every
// connection that reached the port through it has come out of Accept: then the
// server is told to finish them.
func ExampleListen() {
	ctx := context.Background()
	ln, err := overlap.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			c, err := ln.Accept()
			if err != nil {
				return // closed, below
			}
			io.WriteString(c, "hello")
			c.Close()
		}
	}()

	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	text, _ := io.ReadAll(c)
	fmt.Printf("%s\n", text)

	verdict, err := ln.Retire(ctx)
	fmt.Println("abandoned:", verdict.Abandoned, err)
	ln.Close()
	<-served
	// Output:
	// hello
	// abandoned: 0 <nil>
}

// A handler that lives long ends when its instance retires; the client comes again
// and finds the successor.
func ExampleRetiring() {
	http.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-overlap.Retiring(r.Context()):
			io.WriteString(w, "retry: 100\n\n")
		case <-r.Context().Done():
		}
	})
}

func ExamplePhases() {
	fmt.Println(overlap.Phases())
	// Output: [steer settle close linger finish flush cut]
}
