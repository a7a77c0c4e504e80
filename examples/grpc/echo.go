package main

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The methods of the echo service. Its messages are protobuf's own StringValue, and
// its description is written by hand: what protoc would generate, without protoc.
const (
	echoService  = "overlap.example.Echo"
	methodSay    = "/" + echoService + "/Say"
	methodFollow = "/" + echoService + "/Follow"
	methodChat   = "/" + echoService + "/Chat"
)

// followEvery is how often Follow says something.
const followEvery = 100 * time.Millisecond

// goodbye is what Chat says when the client should end the stream.
const goodbye = ""

// echo is one of each kind of call: one that ends by itself, a stream that the server
// ends, and one that only the client can end.
type echo struct {
	release  string
	retiring context.Context // ends when streams should end
}

func (e *echo) desc() *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: echoService,
		Methods:     []grpc.MethodDesc{{MethodName: "Say", Handler: e.say}},
		Streams: []grpc.StreamDesc{
			{StreamName: "Follow", Handler: e.follow, ServerStreams: true},
			{StreamName: "Chat", Handler: e.chat, ServerStreams: true, ClientStreams: true},
		},
	}
}

// say answers with the name of the release and what it was told.
func (e *echo) say(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	told := new(wrapperspb.StringValue)
	if err := decode(told); err != nil {
		return nil, err
	}
	return wrapperspb.String(e.release + " " + told.Value), nil
}

// follow says the name of the release again and again. When the instance leaves it
// ends without an error; the client follows the next one.
func (e *echo) follow(_ any, stream grpc.ServerStream) error {
	if err := stream.RecvMsg(new(wrapperspb.StringValue)); err != nil {
		return err
	}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		if err := stream.SendMsg(wrapperspb.String(e.release)); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-e.retiring.Done():
			return nil
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

// chat answers each text like say. If it ended by itself, what the client was just
// saying would be lost. So it says goodbye, goes on answering, and ends when the client
// has closed its side.
func (e *echo) chat(_ any, stream grpc.ServerStream) error {
	texts, ended := receive(stream)
	retiring := e.retiring.Done()
	for {
		answer := goodbye
		select {
		case text := <-texts:
			answer = e.release + " " + text
		case <-retiring:
			retiring = nil // once
		case err := <-ended:
			return err
		}
		if err := stream.SendMsg(wrapperspb.String(answer)); err != nil {
			return err
		}
	}
}

// receive reads a stream until it ends: with nil when the client has closed its side.
func receive(stream grpc.ServerStream) (texts chan string, ended chan error) {
	texts, ended = make(chan string), make(chan error, 1)
	go func() {
		for {
			told := new(wrapperspb.StringValue)
			if err := stream.RecvMsg(told); errors.Is(err, io.EOF) {
				ended <- nil
				return
			} else if err != nil {
				ended <- err
				return
			}
			select {
			case texts <- told.Value:
			case <-stream.Context().Done(): // the handler has returned
				return
			}
		}
	}()
	return texts, ended
}
