// C++17: see stock.hpp. The destination of flow f is 11.x.y.z, f in its last three bytes; the
// address of interface i, which nobody sends to, is 10.x.y.z.
#include "simulator/ns3/stock.hpp"

#include <map>
#include <ns3/address.h>
#include <ns3/application.h>
#include <ns3/data-rate.h>
#include <ns3/drop-tail-queue.h>
#include <ns3/internet-stack-helper.h>
#include <ns3/ipv4-static-routing-helper.h>
#include <ns3/ipv4-static-routing.h>
#include <ns3/ipv4.h>
#include <ns3/mac48-address.h>
#include <ns3/node.h>
#include <ns3/object-factory.h>
#include <ns3/packet.h>
#include <ns3/point-to-point-channel.h>
#include <ns3/point-to-point-net-device.h>
#include <ns3/simulator.h>
#include <ns3/udp-server.h>
#include <ns3/uinteger.h>
#include <stdexcept>

namespace weft::foreign {
namespace {

constexpr std::uint32_t kInterfaces = 10U << 24;
constexpr std::uint32_t kDestinations = 11U << 24;
constexpr std::uint16_t kFirstPort = 1024;
constexpr std::size_t kMostFlows = 65536 - kFirstPort;

class Stock {
  public:
    Stock(const std::vector<PlainLink>& links, const std::vector<PlainFlow>& flows,
          const StockOptions& options)
        : links_(links), flows_(flows), options_(options) {
        if (flows.size() > kMostFlows) throw std::invalid_argument("a UDP port a flow");
        if (ns3::Time::GetResolution() != ns3::Time::PS) ns3::Time::SetResolution(ns3::Time::PS);
        stack_.SetIpv6StackInstall(false);
        stack_.SetRoutingHelper(ns3::Ipv4StaticRoutingHelper());
        run_.arrived_ps.assign(flows.size(), -1);
        received_.assign(flows.size(), 0);
        for (std::uint32_t f = 0; f < flows.size(); ++f) add(f);
    }
    ~Stock() { ns3::Simulator::Destroy(); }
    Stock(const Stock&) = delete;
    Stock& operator=(const Stock&) = delete;

    StockRun run() {
        ns3::Simulator::Run();
        run_.events = ns3::Simulator::GetEventCount();
        for (const auto& [link, port] : ports_) {
            run_.dropped += port.queue->GetTotalDroppedPackets();
            run_.hops += port.queue->GetTotalReceivedPackets();
        }
        return run_;
    }

  private:
    struct Port {
        ns3::Ptr<ns3::Queue<ns3::Packet>> queue;
        std::uint32_t interface = 0;  // of its node
    };

    ns3::Ptr<ns3::Node> node(std::uint32_t n) {
        ns3::Ptr<ns3::Node>& made = nodes_[n];
        if (!made) {
            made = ns3::CreateObject<ns3::Node>();
            stack_.Install(made);
        }
        return made;
    }

    /// The interface of its first node that sends over the link.
    std::uint32_t interface_of(std::uint32_t link) {
        if (ports_.count(link) == 0) lay(link & ~1U);
        return ports_.at(link).interface;
    }

    /// Both directions of a cable.
    void lay(std::uint32_t cable) {
        auto channel = ns3::CreateObject<ns3::PointToPointChannel>();
        channel->SetAttribute("Delay", ns3::TimeValue(ns3::PicoSeconds(links_[cable].latency_ps)));
        for (std::uint32_t l = cable; l < cable + 2; ++l) {
            auto device = ns3::CreateObject<ns3::PointToPointNetDevice>();
            device->SetAddress(ns3::Mac48Address::Allocate());
            device->SetDataRate(
                ns3::DataRate(static_cast<std::uint64_t>(links_[l].bits_per_second)));
            device->SetMtu(65535);
            auto queue = ns3::CreateObject<ns3::DropTailQueue<ns3::Packet>>();
            queue->SetMaxSize(ns3::QueueSize(ns3::PACKETS, options_.queue_packets));
            device->SetQueue(queue);
            const ns3::Ptr<ns3::Node> at = node(links_[l].from);
            at->AddDevice(device);
            device->Attach(channel);
            auto ip = at->GetObject<ns3::Ipv4>();
            const std::uint32_t i = ip->AddInterface(device);
            ip->AddAddress(i, address(kInterfaces, l));
            ip->SetUp(i);
            ports_[l] = {queue, i};
        }
    }

    static ns3::Ipv4InterfaceAddress address(std::uint32_t net, std::uint32_t number) {
        return {ns3::Ipv4Address(net | (number & 0xffffff)), ns3::Ipv4Mask(0xffffffff)};
    }

    void add(std::uint32_t f) {
        const PlainFlow& flow = flows_[f];
        const ns3::Ipv4Address to(kDestinations | f);
        const ns3::Ipv4StaticRoutingHelper routing;
        for (const std::uint32_t l : flow.links) {
            const std::uint32_t i = interface_of(l);
            routing.GetStaticRouting(node(links_[l].from)->GetObject<ns3::Ipv4>())
                ->AddHostRouteTo(to, i);
        }
        const std::uint32_t last = flow.links.back();
        const ns3::Ptr<ns3::Node> there = node(links_[last].to);
        there->GetObject<ns3::Ipv4>()->AddAddress(interface_of(last ^ 1U),
                                                  address(kDestinations, f));
        const auto port = static_cast<std::uint16_t>(kFirstPort + f);
        auto server = ns3::CreateObject<ns3::UdpServer>();
        server->SetAttribute("Port", ns3::UintegerValue(port));
        server->TraceConnectWithoutContext(
            "Rx", ns3::Callback<void, ns3::Ptr<const ns3::Packet>>(
                      [this, f](ns3::Ptr<const ns3::Packet>) { receive(f); }));
        there->AddApplication(server);
        // By name: the size of a UdpClient depends on how ns-3 was built, and its header does not
        // say.
        ns3::ObjectFactory client("ns3::UdpClient");
        client.Set("MaxPackets", ns3::UintegerValue(flow.packets));
        client.Set("Interval", ns3::TimeValue(ns3::PicoSeconds(flow.interval_ps)));
        client.Set("PacketSize", ns3::UintegerValue(options_.payload));
        client.Set("RemoteAddress", ns3::AddressValue(to));
        client.Set("RemotePort", ns3::UintegerValue(port));
        client.Set("StartTime", ns3::TimeValue(ns3::PicoSeconds(flow.start_ps)));
        node(links_[flow.links.front()].from)->AddApplication(client.Create<ns3::Application>());
    }

    void receive(std::uint32_t f) {
        ++run_.received;
        if (++received_[f] == flows_[f].packets)
            run_.arrived_ps[f] = ns3::Simulator::Now().GetPicoSeconds();
    }

    const std::vector<PlainLink>& links_;
    const std::vector<PlainFlow>& flows_;
    StockOptions options_;
    ns3::InternetStackHelper stack_;
    std::map<std::uint32_t, ns3::Ptr<ns3::Node>> nodes_;
    std::map<std::uint32_t, Port> ports_;  // by link
    std::vector<std::uint32_t> received_;
    StockRun run_;
};

}  // namespace

StockRun run_stock(const std::vector<PlainLink>& links, const std::vector<PlainFlow>& flows,
                   const StockOptions& options) {
    return Stock(links, flows, options).run();
}

}  // namespace weft::foreign
