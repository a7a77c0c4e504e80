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
	open  func(seat) []caller // returns the callers of one client
	usual bool                // part of a run that names no load
	fresh bool                // a new connection for each request
	told  bool                // hears from the server before a connection ends, so idleness is no race
	think time.Duration       // the longest pause before a request
	paced bool                // takes part in --pace; the others' pauses are their pace
	needs need

	streams int  // on each connection, where there can be several
	many    bool // so many connections that one address may not have the ports for them
}

// need is what a kind asks of the service.
type need struct {
	reference bool // it must be cmd/server
	tls       bool
	http2     bool
}

var kinds = [...]kind{
	{name: "new", what: "a new connection for each request", open: alone(newGetter), usual: true, fresh: true, paced: true},
	{name: "keepalive", what: "request after request on a kept connection", open: alone(newGetter), usual: true, paced: true},
	{name: "think", what: "a kept connection, idle for up to 300ms before each request", open: alone(newGetter), usual: true, think: 300 * time.Millisecond},
	{name: "post", what: "POSTs of random bodies on a kept connection, up to 3ms apart", open: alone(newPoster), usual: true, think: 3 * time.Millisecond, paced: true, needs: need{reference: true}},
	{name: "idle", what: "a kept connection, idle for up to 9s before each request", open: alone(newGetter), think: 9 * time.Second, many: true},
	{name: "resume", what: "a new connection for each request, with the TLS session of the one before", open: alone(newResumer), fresh: true, paced: true, needs: need{tls: true}},
	{name: "h2", what: "100 streams at a time on a connection, POSTs whose bodies cannot be sent again", open: newStreamers, told: true, paced: true, streams: 100, needs: need{reference: true, http2: true}},
	{name: "h2-think", what: "the same, one stream at a time, idle for up to 300ms before it", open: newStreamers, told: true, think: 300 * time.Millisecond, streams: 1, needs: need{reference: true, http2: true}},
	{name: "trickle", what: "POSTs whose bodies take 2s to arrive, every other one in chunks", open: alone(newTrickler), paced: true, needs: need{reference: true}},
	{name: "download", what: "50 MB at a time, as fast as it comes", open: alone(newDownloader), think: time.Second, needs: need{reference: true}},
	{name: "download-slow", what: "50 MB at a time, read over 2s to 4s", open: alone(newSlowDownloader), think: time.Second, needs: need{reference: true}},
	{name: "ws", what: "a WebSocket, a message each now and then, until the server says 1001", open: alone(newEchoer), told: true, think: time.Second, many: true, needs: need{reference: true}},
	{name: "sse", what: "an event stream until the server ends it, then the next one", open: alone(newListener), told: true, needs: need{reference: true}},
	{name: "http10", what: "HTTP/1.0, a connection for each request", open: alone(newOldGetter), fresh: true, paced: true},
	{name: "http10-keepalive", what: "HTTP/1.0 that asks to keep the connection", open: alone(newOldGetter), paced: true},
	{name: "expect", what: "POSTs that wait for 100 Continue", open: alone(newExpecter), paced: true, needs: need{reference: true}},
	{name: "pipelined", what: "two requests at a time, before the first answer", open: alone(newPipeliner), paced: true},
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
		return nil, fmt.Errorf("read --load: no load is called %q, there are %s", name, namesOf(kinds[:]))
	}
	return picked, nil
}

// usualLoads are what a run without --load uses.
func usualLoads() string {
	var usual []kind
	for _, k := range kinds {
		if k.usual {
			usual = append(usual, k)
		}
	}
	return namesOf(usual)
}

func namesOf(kinds []kind) string {
	var names []string
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return strings.Join(names, ",")
}
