package evidence

// What is counted of TLS sessions that a client takes along. What matters is the first
// handshake with a release that did not issue the session.
const (
	HandshakesAcross = "handshakes with another release than issued the session"
	ResumedAcross    = "of these resumed"
	HandshakesWithin = "handshakes with the release that issued the session"
	ResumedWithin    = "of those resumed"
)
