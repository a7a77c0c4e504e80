package main

import (
	"fmt"
	"strings"
	"time"
)

// kind is one way of being a client.
type kind struct {
	name  string
	what  string
	fresh bool          // a new connection for each request
	post  bool          // random bodies to /echo
	think time.Duration // the longest pause before a request
	paced bool          // takes part in --pace; the others' pauses are their pace
}

var kinds = [...]kind{
	{name: "new", what: "a new connection for each request", fresh: true, paced: true},
	{name: "keepalive", what: "request after request on a kept connection", paced: true},
	{name: "think", what: "a kept connection, idle for up to 300ms before each request", think: 300 * time.Millisecond},
	{name: "post", what: "POSTs of random bodies on a kept connection, up to 3ms apart", post: true, think: 3 * time.Millisecond, paced: true},
}

// pick returns the kinds with these names, in the table's order.
func pick(names string) ([]kind, error) {
	asked := map[string]bool{}
	for name := range strings.SplitSeq(names, ",") {
		asked[strings.TrimSpace(name)] = true
	}
	var picked []kind
	for _, k := range kinds {
		if asked[k.name] {
			picked = append(picked, k)
			delete(asked, k.name)
		}
	}
	for name := range asked {
		return nil, fmt.Errorf("read --load: no load is called %q, there are %s", name, allLoads())
	}
	return picked, nil
}

func allLoads() string {
	var names []string
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return strings.Join(names, ",")
}
