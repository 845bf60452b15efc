//! Findings about addresses, ports, names and other nodes.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_that_does_not_lead_here_is_told() {
    let lab = Lab::new("bb.com\n").await;
    lab.set("listen = '127.0.0.1:0'\n");
    let line = |checked: (i32, Vec<String>)| {
        assert_eq!(checked.0, 1);
        assert!(checked.1[6].starts_with("ok   port"), "what comes after is checked: {:?}", checked.1);
        checked.1[5].clone()
    };
    let missing = line(lab.check(&[]));
    let start = "FAIL domain bb.com: not found; give bb.com an A record with the address of this host, 127.0.0.1, or ";
    assert!(missing.starts_with(start), "{missing}");

    lab.dns.set("bb.com", [198, 51, 100, 7].into());
    let elsewhere = line(lab.check(&[]));
    let start = "FAIL domain bb.com: it resolves to 198.51.100.7, which is no address of this host, which is at \
                 127.0.0.1; ";
    assert!(elsewhere.starts_with(start), "{elsewhere}");
    for part in ["; correct the A record of bb.com or ", "have it forward UDP port 3344 to 127.0.0.1"] {
        assert!(elsewhere.contains(part), "{elsewhere}");
    }

    lab.dns.set("bb.com", [127, 0, 0, 8].into());
    assert_eq!(
        line(lab.check(&[])),
        "FAIL domain bb.com: it resolves to 127.0.0.8, and the node listens on 127.0.0.1:0 alone; set listen to \
         127.0.0.8:3344, or to 0.0.0.0:3344, or correct the A record of bb.com"
    );
    lab.dns.set("bb.com", [224, 0, 0, 1].into());
    assert_eq!(
        line(lab.check(&[])),
        "FAIL domain bb.com: resolves to 224.0.0.1, where no node can be; correct the A record of bb.com, or its line \
         in the hosts file of this host"
    );
    lab.dns.set_silent(true);
    assert_eq!(
        line(lab.check(&[])),
        "FAIL domain bb.com: cannot be resolved: the name servers give no answer; look at the network of this host, \
         and at /etc/resolv.conf or the key name-servers of the settings"
    );
}

/// The hosts file of a Debian host PC-c has the line `127.0.1.1 PC-c`.
#[tokio::test(flavor = "multi_thread")]
async fn a_domain_at_loopback_is_wrong_for_a_node_that_others_reach() {
    let lab = Lab::new("PC-c\n").await;
    lab.dns.set("PC-c", [127, 0, 1, 1].into());
    let line = |listen: &str| {
        lab.set(&format!("listen = '{listen}'\n"));
        lab.check(&[]).1[5].clone()
    };
    let here = "ok   domain PC-c: resolves to 127.0.1.1: programs on this host find it there, and no others";
    assert_eq!(line("127.0.1.1:0"), here);
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    let own = socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr());
    let expected = match own {
        Ok(own) if !own.ip().is_loopback() => format!(
            "FAIL domain PC-c: it resolves to 127.0.1.1 on this host, so agents here publish a loopback address, and \
             nobody on another host can call them; write {} instead of 127.0.1.1 into the line of PC-c in the hosts \
             file; if the node is for programs on this host alone, set listen to 127.0.1.1:3344",
            own.ip()
        ),
        // This host has no network, so there are no others.
        _ => here.to_owned(),
    };
    assert_eq!(line("0.0.0.0:0"), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_not_to_be_had_is_told() {
    let lab = Lab::new("bb.com\n").await;
    lab.dns.set("bb.com", [127, 0, 0, 1].into());
    let line = |listen: &str| {
        lab.set(&format!("listen = '{listen}'\n"));
        let (code, lines) = lab.check(&[]);
        assert_eq!(code, 1, "{lines:?}");
        lines[6].clone()
    };
    let program = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = program.local_addr().unwrap();
    let who = |port: u16| {
        format!(
            "; ss -ulpn 'sport = :{port}' tells which program that is: end it, or set listen to another address of this host; if it is systemd, that waits to start the node: journalctl -u lumi-node tells why it has ended"
        )
    };
    let silent =
        format!("FAIL port {address}: it is in use, and no node answers at {address}{}", who(address.port()));
    assert_eq!(line(&address.to_string()), silent);
    // This is all addresses of this host, and the port of one is in use.
    let silent = line(&format!("0.0.0.0:{}", address.port()));
    assert!(silent.contains(&format!(": it is in use, and no node answers at {address}; ")), "{silent}");

    // A program that answers need not be a node.
    let echo = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let at = echo.local_addr().unwrap();
    let echoing = tokio::spawn(async move {
        let mut buffer = [0; 100];
        while let Ok((length, from)) = echo.recv_from(&mut buffer).await {
            echo.send_to(&buffer[..length], from).await.unwrap();
        }
    });
    let echoed = line(&at.to_string());
    assert!(echoed.contains(": it is in use, and no node answers at "), "{echoed}");
    echoing.abort();

    let other = NodeProgram::start("cc.com", &["joya"], &[]);
    let expected = format!(
        "FAIL port {0}: it is in use by a node that is not that of bb.com{1}",
        other.address(),
        who(other.address().port())
    );
    assert_eq!(line(&other.address().to_string()), expected);
    let foreign = "198.51.100.7:3344";
    assert_eq!(
        line(foreign),
        "FAIL port 198.51.100.7:3344: cannot assign requested address; this host has no such address: set listen to \
         one that it has, or to 0.0.0.0:3344"
    );

    fs::write(lab.path().join("config/nodelumi.cfg"), "b b\n").unwrap();
    lab.set(&format!("listen = '{address}'\n"));
    let unknown = "in use; whether by this domain's node is not checked until the roster is right";
    assert!(lab.check(&[]).1.contains(&format!("skip port {address}: {unknown}")));
}

/// A deployed node of another domain would forward a `PL` to itself forever, or end because of the answer.
#[tokio::test(flavor = "multi_thread")]
async fn deployed_nodes_are_told_from_ours_and_live() {
    let lab = Lab::new("bb.com\nlaura\n").await;
    lab.dns.set("bb.com", [127, 0, 0, 1].into());
    for (program, domain) in [(L, "bb.com"), (S, "bb.com"), (L, "cc.com"), (S, "cc.com")] {
        let node = EmulatedNode::start(program, domain, &["laura"]).await;
        let real = NodeProgram::start("bb.com", &["laura"], &[]);
        if domain == "cc.com" {
            node.add_peer("bb.com", real.address()).await;
            node.add_peer("dd.com", node.address).await;
        }
        let at = node.address;
        lab.set(&format!("listen = '{at}'\n[peers]\n'cc.com' = '{at}'\n'dd.com' = '{at}'\n"));
        let (code, lines) = lab.check(&["--peer-domain", "cc.com", "--peer-domain", "dd.com"]);
        assert_eq!(code, 1);
        let foreign = format!("FAIL port {at}: it is in use by a node of another program; ss -ulpn ");
        assert!(lines[6].starts_with(&foreign), "{lines:?}");
        for (line, peer) in lines[7..].iter().zip(["cc.com", "dd.com"]) {
            let answers = "it is another program, and not asked of which domain it is";
            assert_eq!(*line, format!("ok   peer {peer}: a node answers at {at}; {answers}"));
        }
        assert_eq!(real.log(), [""; 0], "nothing is forwarded");
        node.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_no_domain_is_told_from_a_misspelled_one() {
    let lab = Lab::new("bb.com\n").await;
    lab.dns.set("bb.com", [127, 0, 0, 1].into());
    let peer_line = |settings: &str| {
        lab.set(&format!("listen = '127.0.0.1:0'\n{settings}"));
        lab.check(&["--peer-domain", "127.0.0.77"]).1[7].clone()
    };
    assert_eq!(
        peer_line("literal-domains = 'off'\n"),
        "FAIL peer 127.0.0.77: not found; while literal-domains is \"off\", an IPv4 address is no domain: set it to \
         \"on\", or name its node in the settings, under [peers]: \"127.0.0.77\" = \"IP:PORT\""
    );
    let found = "FAIL peer 127.0.0.77: no program listens at 127.0.0.77:";
    assert!(peer_line("").starts_with(&format!("{found}3344; ")));
    let named = "literal-domains = 'off'\n[peers]\n'127.0.0.77' = '127.0.0.77:9'\n";
    assert!(peer_line(named).starts_with(&format!("{found}9; ")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_not_found_or_does_not_answer_is_told() {
    let lab = Lab::new("bb.com\n").await;
    lab.dns.set("bb.com", [127, 0, 0, 1].into());
    lab.dns.set("ff.com", [0, 0, 0, 0].into());
    let (other, program) = (NodeProgram::start("cc.com", &[], &[]), UdpSocket::bind("127.0.0.1:0").unwrap());
    let (at, silent) = (other.address(), program.local_addr().unwrap());
    lab.set(&format!("listen = '127.0.0.1:0'\n[peers]\n'dd.com' = '{at}'\n'ee.com' = '{silent}'\n"));
    let peers = [
        "--peer-domain",
        "nn.com",
        "--peer-domain",
        "ff.com",
        "--peer-domain",
        "dd.com",
        "--peer-domain",
        "ee.com",
    ];
    let (code, lines) = lab.check(&peers);
    assert_eq!(code, 1);
    let named = |peer| format!("name its node in the settings, under [peers]: \"{peer}\" = \"IP:PORT\"");
    let record = |peer, ip| {
        format!("if {ip} is not the address of its host, have its A record corrected, or {}", named(peer))
    };
    let expected = [
        format!(
            "FAIL peer nn.com: not found; look at the spelling; have who runs it give it an A record, or {}",
            named("nn.com")
        ),
        format!(
            "FAIL peer ff.com: resolves to 0.0.0.0, where no node can be; have who runs it correct its A record, or {}",
            named("ff.com")
        ),
        format!(
            "FAIL peer dd.com: at {at} there is the node of another domain; {}",
            record("dd.com", at.ip())
        ),
        format!(
            "FAIL peer ee.com: no node answers at {silent}; see that it runs, and that firewalls here and there let UDP \
             port {} through both ways; {}",
            silent.port(),
            record("ee.com", &Ipv4Addr::LOCALHOST)
        ),
    ];
    assert_eq!(lines[7..], expected);

    lab.dns.set_refusing(true);
    let (_, lines) = lab.check(&["--peer-domain", "nn.com"]);
    let start = "FAIL peer nn.com: cannot be resolved: the name servers give no answer; look at the network of this host";
    assert!(lines[7].starts_with(start), "{lines:?}");
}
