import com.launchdarkly.eventsource.ErrorStrategy;
import com.launchdarkly.eventsource.EventSource;
import java.net.URI;

class OkHttpEventSource {
  public static void main(String[] args) {
    var source = new EventSource.Builder(URI.create(args[0]))
        .errorStrategy(ErrorStrategy.alwaysContinue())
        .build();
    for (var event : source.messages()) {
      if (event.getEventName().equals("message")) System.out.println(event.getData());
    }
  }
}
