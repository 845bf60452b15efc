//! The example `host-node`, with the accounts of another host.

use std::error::Error;
use std::fs;

use lumi_node_core::AdminError;
use tokio::net::UdpSocket;
use tokio::sync::oneshot;

#[expect(dead_code, reason = "its main is the program's")]
#[path = "../host-node.rs"]
mod host_node;

#[tokio::test]
async fn the_accounts_of_the_host_are_its_users() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("passwd");
    fs::write(&path, format!("{SYSTEM}laura:x:1000:1000:Laura,,,:/home/laura:/bin/bash\n"))?;
    let accounts = host_node::Accounts { domain: "localhost".parse()?, path: path.clone() };
    let (server, administrator) = host_node::node("127.0.0.1:0", accounts).await?;
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(server.run(async { _ = stopped.await }));
    let agent = UdpSocket::bind("127.0.0.1:0").await?;
    agent.connect(std::net::SocketAddr::from(administrator.status().await?.local)).await?;

    for (question, answer) in [
        ("PRlaura@localhost", "RR0"),
        ("PRroot@localhost", "RR1"),
        ("PRnobody@localhost", "RR1"),
        ("PRjoya@localhost", "RR1"),
    ] {
        assert_eq!(ask(&agent, question).await?, answer, "{question}");
    }
    let refused = administrator.add_user("joya".parse()?).await;
    let Err(AdminError::NotSaved(reason)) = refused else { panic!("{refused:?}") };
    assert!(reason.to_string().contains("adduser"), "{reason}");

    fs::write(&path, format!("{SYSTEM}joya:x:1001:1001::/home/joya:/bin/bash\n"))?;
    assert_eq!(administrator.reload(None).await?.users, 1);
    assert_eq!(ask(&agent, "PRjoya@localhost").await?, "RR0");
    assert_eq!(ask(&agent, "PRlaura@localhost").await?, "RR1");
    stop.send(()).expect("it runs");
    Ok(task.await??)
}

#[tokio::test]
async fn a_user_registers_from_this_host_alone() -> Result<(), Box<dyn Error>> {
    use host_node::FromHere;
    use lumi_node_core::{Policy, RegisterVerdict, UdpAddress};

    let now = tokio::time::Instant::now().into_std();
    for (from, verdict) in
        [("127.0.0.9:4500", RegisterVerdict::Allow), ("192.0.2.9:4500", RegisterVerdict::Refuse)]
    {
        let from = from.parse::<UdpAddress>()?.into();
        assert_eq!(FromHere.register(now, &"laura".parse()?, from, None), verdict);
    }
    Ok(())
}

async fn ask(agent: &UdpSocket, question: &str) -> Result<String, Box<dyn Error>> {
    agent.send(question.as_bytes()).await?;
    let mut answer = [0; 100];
    let length = agent.recv(&mut answer).await?;
    Ok(String::from_utf8(answer[..length].to_vec())?)
}

const SYSTEM: &str = "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n\n";
