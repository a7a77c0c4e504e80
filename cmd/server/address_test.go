package main

import (
	"fmt"
	"testing"
)

func TestEachAddressSaysWhatIsSpokenThere(t *testing.T) {
	tls := []string{"--tls-cert=c", "--tls-key=k"}
	for _, test := range []struct {
		name string
		env  vars
		file string
		args []string
		want string
	}{
		{"in clear by default", nil, "", nil, "[http://:8080]"},
		{"TLS where there is a certificate", nil, "", tls, "[https://:8080]"},
		{"in clear beside it", nil, "", append(tls, "--addr=:8443", "--addr=http://127.0.0.1:80"), "[https://:8443 http://127.0.0.1:80]"},
		{"said twice over", nil, "", append(tls, "--addr=https://[::1]:https"), "[https://[::1]:https]"},
		{"with commas", nil, "", []string{"--addr", ":1, :2", "--addr", ":3"}, "[http://:1 http://:2 http://:3]"},
		{"by the environment", vars{"OVERLAP_ADDR": ":1,:2"}, "", nil, "[http://:1 http://:2]"},
		{"as a list in the file", nil, "addr: [':1', 'http://:2']", nil, "[http://:1 http://:2]"},
		{"as a text in the file", nil, "addr: ':1,:2'", nil, "[http://:1 http://:2]"},
		{"flags replace the file", nil, "addr: [':1', ':2']", []string{"--addr=:3"}, "[http://:3]"},
		{"any free port, twice", nil, "", []string{"--addr=:0,:0"}, "[http://:0 http://:0]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			file := ""
			if test.file != "" {
				file = write(t, "app.yaml", test.file)
			}
			c, err := load(test.env, file, test.args...)
			if err != nil {
				t.Fatal(err)
			}
			all, err := c.addresses()
			if got := fmt.Sprint(all); got != test.want || err != nil {
				t.Errorf("got %s, %v, want %s", got, err, test.want)
			}
		})
	}
}
