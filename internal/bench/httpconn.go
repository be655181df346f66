package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// An httpConn is a connection that requests are sent over, one after the other. It does what a load
// generator needs of HTTP/1.1 and no more: the processors that it shares with the servers are theirs.
type httpConn struct {
	host string
	conn net.Conn
	in   *bufio.Reader
	out  []byte
	body []byte // of the last answer
}

// requestLimit is how long an answer may take.
const requestLimit = 15 * time.Second

func dialHTTP(url string) (*httpConn, error) {
	host := strings.TrimPrefix(url, "http://")
	conn, err := net.DialTimeout("tcp", host, 5*time.Second)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	return newHTTPConn(host, conn), nil
}

// newHTTPConn makes one of a connection to host.
func newHTTPConn(host string, conn net.Conn) *httpConn {
	return &httpConn{host: host, conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}
}

func (c *httpConn) close() { _ = c.conn.Close() }

// do sends a request, with a body of JSON unless it is nil, and further lines of its header, and returns the answer. The
// body is that of the connection, until the next request.
func (c *httpConn) do(method, path string, body []byte, header ...string) (status int, answer []byte, err error) {
	c.out = append(c.out[:0], method...)
	c.out = append(append(append(c.out, ' '), path...), " HTTP/1.1\r\nHost: "...)
	c.out = append(append(c.out, c.host...), "\r\n"...)
	if body != nil {
		c.out = append(c.out, "Content-Type: application/json\r\nContent-Length: "...)
		c.out = append(strconv.AppendInt(c.out, int64(len(body)), 10), "\r\n"...)
	}
	for _, line := range header {
		c.out = append(append(c.out, line...), "\r\n"...)
	}
	c.out = append(append(c.out, "\r\n"...), body...)
	if err := c.conn.SetDeadline(time.Now().Add(requestLimit)); err != nil {
		return 0, nil, fmt.Errorf("limiting a request: %w", err)
	}
	if _, err := c.conn.Write(c.out); err != nil {
		return 0, nil, fmt.Errorf("sending a request: %w", err)
	}
	status, err = c.read()
	if err != nil {
		return 0, nil, fmt.Errorf("reading an answer: %w", err)
	}
	return status, c.body, nil
}

var errMalformed = errors.New("this is no answer of HTTP/1.1")

// read reads one answer.
func (c *httpConn) read() (status int, err error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, errMalformed
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, errMalformed
	}
	length, chunked := 0, false
	for {
		if line, err = c.in.ReadSlice('\n'); err != nil {
			return 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, errMalformed
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = true
		}
	}
	c.body = c.body[:0]
	if !chunked {
		return status, c.take(length)
	}
	for {
		if line, err = c.in.ReadSlice('\n'); err != nil {
			return 0, err
		}
		size, err := strconv.ParseInt(string(bytes.TrimRight(line, "\r\n")), 16, 32)
		if err != nil {
			return 0, errMalformed
		}
		if err := c.take(int(size)); err != nil {
			return 0, err
		}
		if _, err := c.in.Discard(len("\r\n")); err != nil || size == 0 {
			return status, err
		}
	}
}

// take reads so much more of the body.
func (c *httpConn) take(length int) error {
	n := len(c.body)
	if cap(c.body) < n+length {
		c.body = append(make([]byte, 0, 2*(n+length)), c.body...)
	}
	c.body = c.body[:n+length]
	_, err := io.ReadFull(c.in, c.body[n:])
	return err
}
