#!/usr/bin/perl
# Debian's Net::EPP against the registry: one name's life as somebody else's client sees it, by a certificate and over TLS.
# Arguments: port, file of the registry's certificate, password, folder into which every frame of both sides goes.
use strict;
use warnings;
use Net::EPP::Simple;
use Net::EPP::Protocol;

my ($port, $ca, $password, $folder) = @ARGV;
my ($frames, $failed) = (0, 0);

# every frame, as it went over the wire
{
	no warnings 'redefine';
	my $get = \&Net::EPP::Protocol::get_frame;
	*Net::EPP::Protocol::get_frame = sub { my $text = $get->(@_); keep('registry', $text); return $text };
	my $send = \&Net::EPP::Protocol::send_frame;
	*Net::EPP::Protocol::send_frame = sub { keep('client', $_[2]); return $send->(@_) };
}

sub keep {
	my ($who, $text) = @_;
	return if (!defined($text) || $text eq '');
	open(my $file, '>:raw', sprintf('%s/%03d-%s.xml', $folder, ++$frames, $who)) || die($!);
	print $file $text;
	close($file);
}

sub told {
	my ($what, $right) = @_;
	$failed++ if (!$right);
	printf("%s %s (%d %s)\n", ($right ? 'ok' : 'NOT OK'), $what, $Net::EPP::Simple::Code || 0, $Net::EPP::Simple::Message || '');
}

my %line = (host => 'localhost', port => $port, user => 'alpha', verify => 1, ca_file => $ca, load_config => 0, reconnect => 0);

my $wrong = Net::EPP::Simple->new(%line, pass => 'not-this-one');
told('a wrong password is refused', !defined($wrong) && $Net::EPP::Simple::Code == 2200);

my $epp = Net::EPP::Simple->new(%line, pass => $password);
told('the right one signs in', defined($epp));
exit(1) if (!defined($epp));

told('the line answers', $epp->ping);
told('a free name is free', $epp->check_domain('perl.test') == 1);

my $contact = {
	id => 'perl-1',
	postalInfo => { int => { name => 'Ada & <Ada>', org => 'Ada', addr => {
		street => ['Storgata 1', 'B'], city => 'Oslo', sp => '', pc => '0155', cc => 'NO' } } },
	voice => '+47.22334455', fax => '', email => 'ada@example.test', authInfo => 'abcdefgh',
};
told('a contact is made', $epp->create_contact($contact));
my $held = $epp->contact_info('perl-1');
told('and reads as it was written', $held && $held->{postalInfo}->{int}->{name} eq 'Ada & <Ada>' && $held->{email} eq 'ada@example.test');

told('a name is registered', $epp->create_domain({
	name => 'perl.test', period => 2, registrant => 'perl-1', ns => [],
	contacts => { tech => 'perl-1', admin => 'perl-1', billing => 'perl-1' }, authInfo => 'pa55-w0rd',
}));
told('and not a second time', !$epp->create_domain({
	name => 'perl.test', period => 1, registrant => 'perl-1', contacts => {}, authInfo => 'pa55-w0rd',
}) && $Net::EPP::Simple::Code == 2302);
told('now it is taken', $epp->check_domain('perl.test') == 0);

told('a host is made', $epp->create_host({ name => 'ns1.perl.test', addrs => [
	{ ip => '192.0.2.1', version => 'v4' }, { ip => '2001:db8::1', version => 'v6' } ] }));
told('the host is there', $epp->check_host('ns1.perl.test') == 0);
my $host = $epp->host_info('ns1.perl.test');
told('with both addresses', $host && scalar(@{$host->{addrs}}) == 2);

told('the name is delegated and locked', $epp->update_domain({
	name => 'perl.test', add => { ns => ['ns1.perl.test'], status => { clientTransferProhibited => 'locked' } }, rem => {}, chg => {},
}));
my $domain = $epp->domain_info('perl.test');
told('the delegation is told', $domain && $domain->{ns}->[0] eq 'ns1.perl.test');
told('the lock is told', $domain && grep({ $_ eq 'clientTransferProhibited' } @{$domain->{status}}));
told('its end is in two years', $domain && $domain->{exDate} =~ /^\d{4}-\d\d-\d\dT/);

my ($end) = ($domain->{exDate} =~ /^(\d{4}-\d\d-\d\d)/);
told('it is renewed', $epp->renew_domain({ name => 'perl.test', cur_exp_date => $end, period => 1 }));
told('but not from an end that is over', !$epp->renew_domain({ name => 'perl.test', cur_exp_date => $end, period => 1 })
	&& $Net::EPP::Simple::Code == 2004);
told('there was no transfer', !$epp->domain_transfer_query('perl.test') && $Net::EPP::Simple::Code == 2301);

my $poll = $epp->request(Net::EPP::Frame::Command::Poll::Req->new);
told('there are no messages', $poll && $poll->code == 1300);

told('a contact in use stays', !$epp->delete_contact('perl-1') && $Net::EPP::Simple::Code == 2305);
told('a host in use stays', !$epp->delete_host('ns1.perl.test') && $Net::EPP::Simple::Code == 2305);
told('the name is unlocked', $epp->update_domain({
	name => 'perl.test', add => {}, rem => { ns => ['ns1.perl.test'], status => { clientTransferProhibited => '' } }, chg => {},
}));
told('the host goes', $epp->delete_host('ns1.perl.test'));
told('the name goes', $epp->delete_domain('perl.test'));
told('the contact goes', $epp->delete_contact('perl-1'));
told('what is gone is not there', !$epp->domain_info('perl.test') && $Net::EPP::Simple::Code == 2303);
told('the session ends', $epp->logout);

printf("%d frames\n", $frames);
exit($failed ? 1 : 0);
