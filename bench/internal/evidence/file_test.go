package evidence

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ba995850/overlap/bench/wire"
)

// Broken on purpose, and seen red:
//   - the writer leaves out whether a record is apart: TestWhatIsReadIsWhatWasWritten
//   - the reader believes "end" whatever it counts, takes a file that ends within a run,
//     or fields that it does not know: TestADamagedFileIsAnErrorThatNamesTheLine
//   - the writer truncates what is there: TestAFileThatIsThereStays

// oneOfEach is a run with all that a run can have.
func oneOfEach() Run {
	shared := true
	return Run{
		About: About{
			Name: "h2", What: "two clients", Began: time.Unix(1e9, 7).UTC(), Moment: "SIGTERM", SharedKeys: &shared, Judged: true,
			Subject:  Subject{System: "nginx", Version: "1.22", Method: "HUP", Settings: "worker_processes 2;", Source: "nginx.org"},
			Settings: map[string]string{"clients": "2"},
		},
		Work: Work{
			Sent: 3,
			Records: []Record{
				{Kind: "new", Due: 1, Latency: 2, Release: "v1", Conn: 1, Outcome: Answered},
				{Kind: "ws end", Due: 2, Latency: 3, Release: "v1", Conn: 2, Apart: true, Life: true, Outcome: Withdrawn},
				{Kind: "new", Due: 3, Latency: 4, Outcome: Reset, Detail: "read the head: <connection> reset"},
			},
			Counts: map[string]int{"sessions": 7},
		},
		Probes:    []Record{{Kind: "probe", Due: 1, Latency: 1, Release: "v2", Outcome: Answered}},
		Handovers: []Handover{{From: "v1", To: "v2", Began: 1, At: 2, Over: 3}},
		Departures: []Departure{
			{Release: "v1", Verdict: &Verdict{Lossless: true, Phases: map[string]Seconds{"steer": 0.1}}, Exit: 0.3, Tail: []string{"bye"}},
			{Release: "v2", Code: 2},
		},
		Complaints: []string{"upstream prematurely closed"},
		Wire:       &wire.Traffic{Spec: "80ms,1%", ToServers: wire.Counts{Packets: 7, Dropped: 1}},
	}
}

func write(t *testing.T, runs ...Run) (name string) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "raw.gz")
	w, err := Create(name, Header{Command: []string{"bench"}, Began: time.Unix(1e9, 0).UTC(), Machine: Machine{Kernel: "6.18", CPUs: 2}})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range runs {
		if err := w.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestWhatIsReadIsWhatWasWritten(t *testing.T) {
	want := []Run{oneOfEach(), {About: About{Subject: Subject{System: "haproxy", Absent: "it is not installed"}}}, oneOfEach()}
	file, err := ReadFile(write(t, want...))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(file.Runs, want) {
		t.Errorf("read\n%+v, wrote\n%+v", file.Runs, want)
	}
	if file.Version != Version || file.Machine.Kernel != "6.18" || file.Command[0] != "bench" {
		t.Errorf("the header is %+v", file.Header)
	}
}

func TestAFileThatIsThereStays(t *testing.T) {
	name := filepath.Join(t.TempDir(), "raw.gz")
	if err := os.WriteFile(name, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(name, Header{}); err == nil || !strings.Contains(err.Error(), name+" is there already") {
		t.Errorf("the error is %v", err)
	}
	if text, _ := os.ReadFile(name); string(text) != "precious" {
		t.Errorf("it says %q now", text)
	}
}

func TestAFileWithoutARunIsNotLeftBehind(t *testing.T) {
	if name := write(t); exists(name) {
		t.Errorf("%s is there", name)
	}
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// edit writes the lines of a file again, after they were changed.
func edit(t *testing.T, name string, change func([]string) []string) {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(unzipped)
	if err != nil {
		t.Fatal(err)
	}
	lines := change(strings.SplitAfter(string(text), "\n"))
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	fmt.Fprint(zip, strings.Join(lines, ""))
	zip.Close()
	if err := os.WriteFile(name, packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestADamagedFileIsAnErrorThatNamesTheLine(t *testing.T) {
	replace := func(no int, old, new string) func([]string) []string {
		return func(l []string) []string {
			l[no-1] = strings.Replace(l[no-1], old, new, 1)
			return l
		}
	}
	for _, test := range []struct {
		name   string
		change func(lines []string) []string
		want   string
	}{
		{"it ends within a run", func(l []string) []string { return l[:4] }, "line 5: the file ends within a run"},
		{"it ends within a line", func(l []string) []string { l[3] = l[3][:9]; return l[:4] }, "line 4: the file is cut off"},
		{"it ends before the first run", func(l []string) []string { return l[:1] }, "line 2: the file ends without a run"},
		{"a line is missing", func(l []string) []string { return append(l[:3], l[4:]...) }, "line 11: the run has 8 lines, and should have 9"},
		{"a line is no JSON", replace(4, "{", "<"), "line 4: invalid character"},
		{"an outcome that nobody knows", replace(3, "answered", "shrugged"), `line 3: read an outcome: none is called "shrugged"`},
		{"a field that nobody knows", replace(3, "kind", "sort"), `line 3: json: unknown field "sort"`},
		{"a line before its run", func(l []string) []string { l[1], l[2] = l[2], l[1]; return l }, "line 2: this line has no place here"},
		{"another version", replace(1, `"version":1`, `"version":2`), "line 1: its format has version 2"},
		{"a foreign file", func([]string) []string { return []string{"{}\n"} }, "line 1: it should be the header"},
	} {
		t.Run(test.name, func(t *testing.T) {
			name := write(t, oneOfEach())
			edit(t, name, test.change)
			if _, err := ReadFile(name); err == nil || !strings.Contains(err.Error(), name+": "+test.want) {
				t.Errorf("the error is %v, should say %s", err, test.want)
			}
		})
	}
}

func TestAFileThatIsCutOffAnywhereIsAnError(t *testing.T) {
	whole, err := os.ReadFile(write(t, oneOfEach()))
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "part.gz")
	for n := range whole {
		if err := os.WriteFile(name, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadFile(name); err == nil {
			t.Fatalf("%d of %d bytes were taken for the whole", n, len(whole))
		}
	}
}
