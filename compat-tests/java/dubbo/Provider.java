import org.apache.dubbo.config.ProtocolConfig;
import org.apache.dubbo.config.ServiceConfig;

/**
 * Arguments: server port. Offers the Greeter until it is killed; prints "registered" once it can
 * be found.
 */
public final class Provider {
    public static void main(String[] args) {
        int port = Integer.parseInt(args[1]);
        ProtocolConfig protocol = new ProtocolConfig("dubbo", port);
        protocol.setHost("127.0.0.1");
        ServiceConfig<Greeter> service = new ServiceConfig<>();
        service.setInterface(Greeter.class);
        service.setRef(name -> String.valueOf(port));
        Settings.bootstrap("greeter-provider", args[0]).protocol(protocol).service(service).start();
        System.out.println("registered");
        Settings.bootstrap("greeter-provider", args[0]).await();
    }
}
