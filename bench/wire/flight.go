package wire

import (
	"cmp"
	"time"
)

// packet is one that is under way.
type packet struct {
	bytes  []byte
	due    time.Time
	number int // of its direction, from 1
}

// flight is a heap of packets: the next one that is due comes first, and of two the one
// that came in first.
type flight []packet

func (f flight) Len() int { return len(f) }

func (f flight) Less(i, j int) bool {
	return cmp.Or(f[i].due.Compare(f[j].due), cmp.Compare(f[i].number, f[j].number)) < 0
}

func (f flight) Swap(i, j int) { f[i], f[j] = f[j], f[i] }

func (f *flight) Push(p any) { *f = append(*f, p.(packet)) }

func (f *flight) Pop() any {
	last := len(*f) - 1
	p := (*f)[last]
	(*f)[last] = packet{} // let go of its bytes
	*f = (*f)[:last]
	return p
}
