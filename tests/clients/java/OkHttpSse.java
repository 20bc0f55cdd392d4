import java.time.Duration;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.Response;
import okhttp3.sse.EventSource;
import okhttp3.sse.EventSourceListener;
import okhttp3.sse.EventSources;

class OkHttpSse extends EventSourceListener {
  final OkHttpClient client =
      new OkHttpClient.Builder().readTimeout(Duration.ofSeconds(60)).build();
  final String url;
  String lastId;

  OkHttpSse(String url) {
    this.url = url;
  }

  void connect() {
    var request = new Request.Builder().url(url).header("Accept", "text/event-stream");
    if (lastId != null) request.header("Last-Event-ID", lastId);
    EventSources.createFactory(client).newEventSource(request.build(), this);
  }

  void reconnect() {
    try {
      Thread.sleep(1_000);
    } catch (InterruptedException exception) {
      return;
    }
    connect();
  }

  @Override
  public void onEvent(EventSource source, String id, String type, String data) {
    lastId = id;
    if (type == null) System.out.println(data); // others are weir.open, weir.goodbye …
  }

  @Override
  public void onClosed(EventSource source) {
    reconnect();
  }

  @Override
  public void onFailure(EventSource source, Throwable cause, Response response) {
    reconnect();
  }

  public static void main(String[] args) {
    new OkHttpSse(args[0]).connect();
  }
}
