// Package interop tests Allium against routers somebody else wrote: Debian's
// i2pd, from its package.
//
// Everything runs in a network namespace of its own, where each router has an
// address of 198.18.0.0/16 (a range for measuring devices, which i2pd takes
// for public) and nothing leads outside. The tests build Allium's program,
// start all routers for their identities, make them know some others by files,
// start everything again, and then fetch pages:
//
//	go test -tags interop -run TestWithI2pd ./interop
//	go test -tags interop -run TestHour -timeout 90m ./interop -args -hour 1h
//
// needs Linux, /usr/bin/i2pd, and root or user namespaces. Each program is
// ended by its process ID, and by the kernel should the tests die. Logs are
// kept until the end, and what they say last is printed on failure; with
// -args -keep DIR they stay.
//
// docs/interop.md tells what each test shows, with figures, and how such a
// network is made by hand.
package interop
