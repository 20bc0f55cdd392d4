package main

import (
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/tmaxmax/go-sse"
)

func main() {
	request, err := http.NewRequest(http.MethodGet, os.Args[1], http.NoBody)
	if err != nil {
		log.Fatal(err)
	}
	connection := sse.NewConnection(request)
	connection.SubscribeMessages(func(event sse.Event) {
		fmt.Println(event.Data)
	})
	log.Fatal(connection.Connect())
}
