package main

import "testing"

func TestAVerdictIsFoundInALog(t *testing.T) {
	v := findVerdict([]byte(`not JSON
{"time":"2026-11-23T10:00:00Z","level":"INFO","msg":"state","release":"v1","from":"serving","to":"retiring"}
{"time":"2026-11-23T10:00:01Z","msg":"verdict","release":"v1","lossless":true,"retired":true,"successor":true,"tier":"lossless","requests":1234,"late":0,"phases":{"steer":0.0123,"settle":0.004,"close":0.001,"linger":0.5}}
`))
	if v == nil {
		t.Fatal("found none")
	}
	if !v.Lossless || v.Requests != 1234 || v.Steered().String() != "12.3ms" || v.Closed().String() != "17.3ms" {
		t.Errorf("read %+v, steered %v, closed %v", *v, v.Steered(), v.Closed())
	}
	if v := findVerdict([]byte("panic: no verdict\n")); v != nil {
		t.Errorf("found %v in a log without a verdict", v)
	}
}
